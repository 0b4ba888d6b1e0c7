"""The size to which masks and scores are enlarged before they are brought to the picture's, as the peers do.

transformers resizes Mask2Former's masks to 384 x 384 first, EoMT's to the network's size; detectron2 resizes
Panoptic-DeepLab's logits to the network's. What is added up, averaged or cut there differs from the grid's.
"""

from typing import Annotated, Literal

import msgspec

from segrt.runtime.preprocess.geometry import Geometry

FEATURE = "processed_size"
_Side = Annotated[int, msgspec.Meta(ge=1, le=8192)]
ProcessedSize = Literal["network"] | tuple[_Side, _Side]


def size_of(processed: ProcessedSize | None, geometry: Geometry) -> tuple[int, int] | None:
    """Return the processed size (h, w) of a picture that lies in the network's input as `geometry` says, if any."""
    return geometry.network_size if isinstance(processed, str) else processed


def features(processed: ProcessedSize | None) -> tuple[str, ...]:
    """Return what a reader of the manifest must know: without a processed size, nothing new."""
    return () if processed is None else (FEATURE,)
