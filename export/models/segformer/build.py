"""SegFormer of transformers, from the picture to logits at a quarter of its size."""

from segrt.export.family import Exportable, Request
from segrt.export.models.shared import transformers_semantic
from segrt.export.weights import checkpoint_labels, network_weights


def build(request: Request) -> Exportable:
    """Return SegFormer as it is exported; `overrides` are fields of `transformers.SegformerConfig`."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    labels = checkpoint_labels.labels(request)
    config = SegformerConfig(**{"num_labels": len(labels), **request.model.options, **request.overrides})
    network = network_weights.load_transformers(SegformerForSemanticSegmentation, config, request)
    processor = transformers_semantic.processor_of(request, SegformerImageProcessor)
    return transformers_semantic.exportable(request, network, processor, labels)
