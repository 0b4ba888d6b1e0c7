"""What a segmenter returns: one result type for each technique, and the conversions between them."""

from segrt.runtime.results.instance import Instance, InstanceResult
from segrt.runtime.results.labels.label import Label
from segrt.runtime.results.panoptic import PanopticResult, Segment
from segrt.runtime.results.semantic import Region, SemanticResult
from segrt.runtime.results.timings import Timings

Result = SemanticResult | InstanceResult | PanopticResult

__all__ = [
    "Instance",
    "InstanceResult",
    "Label",
    "PanopticResult",
    "Region",
    "Result",
    "Segment",
    "SemanticResult",
    "Timings",
]
