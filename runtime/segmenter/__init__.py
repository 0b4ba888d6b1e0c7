"""A bundle opened on a backend: picture in, result out."""

from segrt.runtime.results.viewing import DRAWERS
from segrt.runtime.segmenter.bundle_finding import find_bundle
from segrt.runtime.segmenter.bundle_opening import open_bundle, open_segmenter
from segrt.runtime.segmenter.calling import Segmenter, with_timings
from segrt.runtime.segmenter.typed_segmenters import InstanceSegmenter, PanopticSegmenter, SemanticSegmenter

__all__ = [
    "InstanceSegmenter",
    "PanopticSegmenter",
    "Segmenter",
    "SemanticSegmenter",
    "find_bundle",
    "open_bundle",
    "open_segmenter",
    "with_timings",
]

DRAWERS.add("overlay", "segrt.runtime.segmenter.plotting:plot")
