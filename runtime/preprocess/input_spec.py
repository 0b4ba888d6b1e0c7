"""What an input of a network wants: size, dtype, layout, colour order, normalisation, and how a picture is resized."""

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from segrt.runtime.inference.tensors import Dim, DType, Name

Positive = Annotated[int, msgspec.Meta(ge=1)]
Channels = tuple[float, float, float]
Rounding = Literal["nearest", "floor", "half_up", "longer_floor"]


class Resize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a picture is brought to the network's size.

    `stretch` ignores the aspect ratio; `letterbox` keeps it and pads; `shortest_edge` scales the shorter side to
    `shortest_edge` pixels, or less where the picture would not fit the network's input, and pads.
    `antialias` widens the filter when shrinking, as PIL and torchvision do; without it `interpolation` is OpenCV's.
    `pad` is the colour of the padding in the network's channel order, 0 to 255, before normalisation; `pad_side` says
    whether the picture sits in the middle or in the top left corner. `rounding` is how the sides of a picture that
    keeps its aspect ratio become whole pixels: `nearest` with halves to the even number (Ultralytics), `half_up` (mmcv,
    detectron2), `floor` (torchvision and torch's `interpolate`), `longer_floor`: the longer side cut off, the shorter
    one to the nearest (transformers). `longest_edge` is the most that the longer side may have, where that is less than
    the network's input; `multiple` rounds both sides up to a multiple, which bends the aspect ratio a little
    (transformers' `size_divisor`).
    """

    rule: Literal["stretch", "letterbox", "shortest_edge"] = "stretch"
    interpolation: Literal["nearest", "linear", "cubic", "area"] = "linear"
    antialias: bool = False
    shortest_edge: Positive | None = None
    pad: tuple[int, int, int] = (0, 0, 0)
    pad_side: Literal["both", "bottom_right"] = "both"
    rounding: Rounding = "nearest"
    longest_edge: Positive | None = None
    multiple: Positive = 1


class InputSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input of the network.

    Role `image`: a picture of `dtype` in `layout` and `color` order; a float one holds (value * scale - mean) / std
    for each channel in `color` order. Role `valid_mask`: (N, h, w), 1 where the picture is and 0 on the padding.
    """

    name: Name
    dtype: DType
    shape: tuple[Dim, ...]
    role: Literal["image", "valid_mask"] = "image"
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    color: Literal["rgb", "bgr"] = "rgb"
    scale: float = 1.0
    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)
    resize: Resize = Resize()

    @property
    def size(self) -> tuple[int, int]:
        """The network's picture size (h, w) in pixels."""
        shape = self.shape[1:] if self.role == "valid_mask" or self.layout == "NHWC" else self.shape[2:]
        return int(shape[0]), int(shape[1])


def input_problems(spec: InputSpec) -> Iterable[str]:
    """Yield what contradicts itself in `spec`, beyond what its types say."""
    dims = 3 if spec.role == "valid_mask" else 4
    if len(spec.shape) != dims:
        yield f"input {spec.name!r} must have {dims} dimensions, but got shape {list(spec.shape)}"
        return
    if spec.shape[0] != "N" and spec.shape[0] != 1:
        yield f'input {spec.name!r} must have a first dimension of 1 or "N", but got {spec.shape[0]!r}'
    if any(not isinstance(dim, int) or dim < 1 for dim in spec.shape[1:]):
        yield f"input {spec.name!r} must have a fixed size, but got shape {list(spec.shape)}"
    if spec.role == "valid_mask":
        return
    channels = spec.shape[3] if spec.layout == "NHWC" else spec.shape[1]
    if channels != 3:
        yield f"input {spec.name!r} must have 3 channels in layout {spec.layout}, but got shape {list(spec.shape)}"
    if spec.dtype not in ("uint8", "float16", "float32"):
        yield f"input {spec.name!r} must be uint8, float16 or float32, but got {spec.dtype}"
    plain = (spec.scale, spec.mean, spec.std) == (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    if spec.dtype == "uint8" and not plain:
        yield f"input {spec.name!r} is uint8, so its scale, mean and std must be left at 1, 0 and 1"
    if 0.0 in spec.std:
        yield f"std of input {spec.name!r} must not be 0, but got {list(spec.std)}"
    if any(not 0 <= value <= 255 for value in spec.resize.pad):
        yield f"resize.pad of input {spec.name!r} must be 0 to 255, but got {list(spec.resize.pad)}"
    if (spec.resize.rule == "shortest_edge") != (spec.resize.shortest_edge is not None):
        yield f"resize.shortest_edge of input {spec.name!r} must be given with the rule shortest_edge and only then"
    if spec.resize.rule == "stretch" and (spec.resize.longest_edge is not None or spec.resize.multiple != 1):
        yield f"resize.longest_edge and resize.multiple of input {spec.name!r} are for rules that keep the aspect ratio"
    if spec.resize.antialias and spec.resize.interpolation not in ("linear", "cubic"):
        yield f"resize.antialias of input {spec.name!r} needs interpolation linear or cubic"
