"""Accuracy of results against a labelled data set, in each technique's own metric."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segrt.runtime.evaluate.coco_dataset import open_dataset
    from segrt.runtime.evaluate.evaluation import Evaluation
    from segrt.runtime.evaluate.instance import InstanceEvaluator
    from segrt.runtime.evaluate.panoptic import PanopticEvaluator
    from segrt.runtime.evaluate.predictions import evaluate_predictions
    from segrt.runtime.evaluate.segmenting import evaluate
    from segrt.runtime.evaluate.semantic import SemanticEvaluator

_HOMES = {
    "Evaluation": "segrt.runtime.evaluate.evaluation",
    "InstanceEvaluator": "segrt.runtime.evaluate.instance",
    "PanopticEvaluator": "segrt.runtime.evaluate.panoptic",
    "SemanticEvaluator": "segrt.runtime.evaluate.semantic",
    "evaluate": "segrt.runtime.evaluate.segmenting",
    "evaluate_predictions": "segrt.runtime.evaluate.predictions",
    "open_dataset": "segrt.runtime.evaluate.coco_dataset",
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
