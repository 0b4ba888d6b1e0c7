"""Accuracy of results against a labelled data set, in each technique's own metric."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segrt.runtime.evaluate.datasets.opening import open_dataset
    from segrt.runtime.evaluate.evaluation import Evaluation
    from segrt.runtime.evaluate.metrics.average_precision import InstanceEvaluator
    from segrt.runtime.evaluate.metrics.class_iou import SemanticEvaluator
    from segrt.runtime.evaluate.metrics.panoptic_quality import PanopticEvaluator
    from segrt.runtime.evaluate.predictions import evaluate_predictions
    from segrt.runtime.evaluate.segmenting import evaluate

_HOMES = {
    "Evaluation": "segrt.runtime.evaluate.evaluation",
    "InstanceEvaluator": "segrt.runtime.evaluate.metrics.average_precision",
    "PanopticEvaluator": "segrt.runtime.evaluate.metrics.panoptic_quality",
    "SemanticEvaluator": "segrt.runtime.evaluate.metrics.class_iou",
    "evaluate": "segrt.runtime.evaluate.segmenting",
    "evaluate_predictions": "segrt.runtime.evaluate.predictions",
    "open_dataset": "segrt.runtime.evaluate.datasets.opening",
}

__all__ = [
    "Evaluation",
    "InstanceEvaluator",
    "PanopticEvaluator",
    "SemanticEvaluator",
    "evaluate",
    "evaluate_predictions",
    "open_dataset",
]


def __getattr__(name: str) -> Any:
    """Import an evaluator on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
