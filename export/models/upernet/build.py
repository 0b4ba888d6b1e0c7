"""UPerNet of transformers, from the picture to logits at a quarter of its size.

transformers enlarges the logits to the input's size; that is left to the decode rule.
"""

from collections.abc import Mapping
from typing import Any

from segrt.export.family import Exportable, Request
from segrt.export.models.shared import transformers_semantic
from segrt.export.weights import checkpoint_labels, network_weights

_STAGES = ["stage1", "stage2", "stage3", "stage4"]


def build(request: Request) -> Exportable:
    """Return UPerNet as it is exported.

    `overrides` are fields of `transformers.UperNetConfig`; a mapping `backbone_config` among them changes fields of the
    backbone's.
    """
    from transformers import SegformerImageProcessor, UperNetConfig, UperNetForSemanticSegmentation

    labels = checkpoint_labels.labels(request)
    options = {"num_labels": len(labels), **request.model.options, **request.overrides}
    backbone = {**request.model.options["backbone_config"], **request.overrides.get("backbone_config", {})}
    options["backbone_config"] = backbone_config(backbone)
    config = UperNetConfig(**options)
    network = network_weights.load_transformers(UperNetForSemanticSegmentation, config, request)
    processor = transformers_semantic.processor_of(request, SegformerImageProcessor)
    return transformers_semantic.exportable(request, network, processor, labels)


def backbone_config(fields: Mapping[str, Any]) -> Any:
    """Return the configuration of the backbone, `fields["model_type"]` with its other fields."""
    from transformers import AutoConfig

    plain: dict[str, Any] = {"out_features": _STAGES}
    plain.update({name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()})
    return AutoConfig.for_model(**plain)
