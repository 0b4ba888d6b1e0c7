"""SegFormer B0 to B5 (Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation"), of transformers.

The logits come at a quarter of the input's size. NVIDIA's published weights may not be used commercially.
"""

from segrt.export.family import Exportable, Request
from segrt.export.models import hf_semantic
from segrt.export.weights import checkpoint_labels, network_weights


def build(request: Request) -> Exportable:
    """Return SegFormer as it is exported; `overrides` are fields of `transformers.SegformerConfig`."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    labels = checkpoint_labels.labels(request)
    config = SegformerConfig(**{"num_labels": len(labels), **request.model.options, **request.overrides})
    network = network_weights.load_transformers(SegformerForSemanticSegmentation, config, request)
    processor = hf_semantic.processor_of(request, SegformerImageProcessor)
    return hf_semantic.exportable(request, network, processor, labels)
