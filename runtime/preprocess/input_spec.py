"""What an input of a network wants: size, dtype, layout, colour order, normalisation, and how a picture is resized."""

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from segrt.runtime.inference.tensors import Dim, DType, Name

Positive = Annotated[int, msgspec.Meta(ge=1)]
Channels = tuple[float, ...]
Color = Literal["rgb", "bgr", "grey", "rgba", "bgra", "bands"]
Values = Literal["uint8", "uint16", "float32"]
Grey = Literal["opencv", "pillow"]
Rounding = Literal["nearest", "floor", "half_up", "longer_floor"]
_NO_MEAN, _NO_STD = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
# How many channels a picture of each order has; bands are as many as the input's.
_CHANNELS = {"rgb": 3, "bgr": 3, "grey": 1, "rgba": 4, "bgra": 4}
_PROMPT_DTYPES = {"points": "float32", "point_labels": "int32"}
_LARGEST = {"uint8": 255, "uint16": 65_535}


class Resize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a picture is brought to the network's size.

    `stretch` ignores the aspect ratio; `letterbox` keeps it and pads; `shortest_edge` scales the shorter side to
    `shortest_edge` pixels, or less where the picture would not fit the network's input, and pads; `enlarge` does so
    with smaller pictures alone and leaves others their size where that fits (Matterport's Mask R-CNN).
    `antialias` widens the filter when shrinking, as PIL and torchvision do; without it `interpolation` is OpenCV's, or
    with `skimage` scikit-image's of order 1, black beyond the picture and cut off to whole grey levels (PixelLib).
    `pad` is the colour of the padding in the network's channel order, 0 to 255 (0 to 65535 for 16-bit pictures), before
    normalisation, three zeros for 0 in any number of channels; `pad_side` says
    whether the picture sits in the middle or in the top left corner. `rounding` is how the sides of a picture that
    keeps its aspect ratio become whole pixels: `nearest` with halves to the even number (Ultralytics), `half_up` (mmcv,
    detectron2), `floor` (torchvision and torch's `interpolate`), `longer_floor`: the longer side cut off, the shorter
    one to the nearest (transformers). `longest_edge` is the most that the longer side may have, where that is less than
    the network's input; `multiple` rounds both sides up to a multiple, which bends the aspect ratio a little
    (transformers' `size_divisor`).
    """

    rule: Literal["stretch", "letterbox", "shortest_edge", "enlarge"] = "stretch"
    interpolation: Literal["nearest", "linear", "cubic", "area", "skimage"] = "linear"
    antialias: bool = False
    shortest_edge: Positive | None = None
    pad: tuple[int, ...] = (0, 0, 0)
    pad_side: Literal["both", "bottom_right"] = "both"
    rounding: Rounding = "nearest"
    longest_edge: Positive | None = None
    multiple: Positive = 1


RESIZING = "resizing"
"""What a manifest names in `required_features` where a picture is resized by a way that older readers do not know."""


class InputSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input of the network.

    Role `image`: a picture of `dtype` in `layout` and `color` order; a float one holds (value * scale - mean) / std
    for each channel in `color` order. Role `valid_mask`: (N, h, w), 1 where the picture is and 0 on the padding.
    Role `state`: float32 (1, …), zeros for a picture by itself, in a stream what head `carries`
    gave at the frame before.
    Of a network that takes prompts (`segrt.runtime.preprocess.prompts`): role `embedding`, float32, what head `carries`
    of the encoder gave for the picture; role `points`, float32 (1, K, 2), the prompt's points as x and y in pixels of
    the network's picture; role `point_labels`, int32 (1, K), what each of them is.

    `color` "grey" has one channel, which a colour picture is turned to before it is resized, "rgba" and "bgra" have
    four, opaque where a picture has no alpha, and "bands" any number, which are taken as they come. `values` is the
    dtype of the picture's own values, uint8 where it is left out. `grey` names the arithmetic that makes grey of
    colours: OpenCV's cvtColor (the default), or Pillow's convert("L"), (19595 R + 38470 G + 7471 B + 32768) >> 16.
    """

    name: Name
    dtype: DType
    shape: tuple[Dim, ...]
    role: Literal["image", "valid_mask", "state", "embedding", "points", "point_labels"] = "image"
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    color: Color = "rgb"
    scale: float = 1.0
    mean: Channels = _NO_MEAN
    std: Channels = _NO_STD
    resize: Resize = Resize()
    values: Values | msgspec.UnsetType = msgspec.UNSET
    grey: Grey | msgspec.UnsetType = msgspec.UNSET
    carries: Name | msgspec.UnsetType = msgspec.UNSET

    @property
    def channels(self) -> int:
        """How many channels the picture has."""
        return int(self.shape[3] if self.layout == "NHWC" else self.shape[1])

    @property
    def value_dtype(self) -> Values:
        """The dtype of the picture's own values."""
        return "uint8" if isinstance(self.values, msgspec.UnsetType) else self.values

    @property
    def required_features(self) -> tuple[str, ...]:
        """What a reader of the manifest must know by name (`Manifest.required_features`) to resize as it says."""
        newer = self.resize.rule == "enlarge" or self.resize.interpolation == "skimage"
        return (RESIZING,) if newer else ()

    @property
    def takes_pictures(self) -> bool:
        """Whether an ordinary picture, uint8 BGR (H, W, 3), is all that it wants; otherwise it takes raw arrays too."""
        return self.color in ("rgb", "bgr", "grey") and self.value_dtype == "uint8"

    @property
    def means(self) -> Channels:
        """`mean` of each channel."""
        return _spread(self.mean, _NO_MEAN, self.channels)

    @property
    def stds(self) -> Channels:
        """`std` of each channel."""
        return _spread(self.std, _NO_STD, self.channels)

    @property
    def pads(self) -> Channels:
        """The padding's value in each channel, before normalisation."""
        return _spread(self.resize.pad, (0, 0, 0), self.channels)

    @property
    def size(self) -> tuple[int, int]:
        """The network's picture size (h, w) in pixels."""
        shape = self.shape[1:] if self.role == "valid_mask" or self.layout == "NHWC" else self.shape[2:]
        return int(shape[0]), int(shape[1])


def input_problems(spec: InputSpec) -> Iterable[str]:
    """Yield what contradicts itself in `spec`, beyond what its types say."""
    if (spec.role in ("state", "embedding")) != (spec.carries is not msgspec.UNSET):
        yield f"input {spec.name!r} must have role state or embedding and the head that it carries, or neither"
        return
    if spec.role in ("points", "point_labels"):
        form = (1, _slots(spec), 2) if spec.role == "points" else (1, _slots(spec))
        if spec.shape != form or spec.dtype != _PROMPT_DTYPES[spec.role]:
            text = "[1, K, 2]" if spec.role == "points" else "[1, K]"
            yield (
                f"input {spec.name!r} of role {spec.role} must be {_PROMPT_DTYPES[spec.role]} {text}, "
                f"but got {spec.dtype} {list(spec.shape)}"
            )
        return
    if spec.role in ("state", "embedding"):
        fixed = spec.shape[:1] == (1,) and all(isinstance(dim, int) and dim > 0 for dim in spec.shape)
        if not fixed or spec.dtype != "float32":
            got = f"{spec.dtype} {list(spec.shape)}"
            yield f"input {spec.name!r} of role {spec.role} must be float32 [1, …], but got {got}"
        return
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
    wanted = _CHANNELS.get(spec.color, channels)
    if channels != wanted:
        of = f"of {spec.color} " if spec.color not in ("rgb", "bgr") else ""
        yield (
            f"input {spec.name!r} must have {wanted} channel{'s' if wanted != 1 else ''} {of}in layout {spec.layout}, "
            f"but got shape {list(spec.shape)}"
        )
    if spec.dtype not in ("uint8", "float16", "float32"):
        yield f"input {spec.name!r} must be uint8, float16 or float32, but got {spec.dtype}"
    plain = spec.scale == 1.0 and set(spec.mean) <= {0.0} and set(spec.std) <= {1.0}
    if spec.dtype == "uint8" and not plain:
        yield f"input {spec.name!r} is uint8, so its scale, mean and std must be left at 1, 0 and 1"
    if spec.dtype == "uint8" and spec.value_dtype != "uint8":
        yield f"input {spec.name!r} is uint8, so its values must be uint8 too, but got {spec.value_dtype}"
    for what, given, none in (
        ("mean", spec.mean, _NO_MEAN),
        ("std", spec.std, _NO_STD),
        ("pad", spec.resize.pad, (0, 0, 0)),
    ):
        if len(given) != channels and given != none:
            yield f"{what} of input {spec.name!r} must be {channels} numbers, one a channel, but got {list(given)}"
    if 0.0 in spec.std:
        yield f"std of input {spec.name!r} must not be 0, but got {list(spec.std)}"
    largest = _LARGEST.get(spec.value_dtype)
    if largest is not None and any(not 0 <= value <= largest for value in spec.resize.pad):
        yield f"resize.pad of input {spec.name!r} must be 0 to {largest}, but got {list(spec.resize.pad)}"
    if spec.grey is not msgspec.UNSET and spec.color != "grey":
        yield f"grey of input {spec.name!r} is for color grey, but got {spec.color}"
    if (spec.resize.rule in ("shortest_edge", "enlarge")) != (spec.resize.shortest_edge is not None):
        yield (
            f"resize.shortest_edge of input {spec.name!r} must be given with the rules shortest_edge and enlarge and "
            "only then"
        )
    if spec.resize.rule == "stretch" and (spec.resize.longest_edge is not None or spec.resize.multiple != 1):
        yield f"resize.longest_edge and resize.multiple of input {spec.name!r} are for rules that keep the aspect ratio"
    if spec.resize.antialias and spec.resize.interpolation not in ("linear", "cubic"):
        yield f"resize.antialias of input {spec.name!r} needs interpolation linear or cubic"
    if spec.resize.interpolation == "skimage" and (spec.color not in ("rgb", "bgr") or not spec.takes_pictures):
        yield f"resize.interpolation skimage of input {spec.name!r} is for pictures of uint8 in rgb or bgr"


def _slots(spec: InputSpec) -> int:
    """Return how many points an input of them has, 1 where it says none."""
    count = spec.shape[1] if len(spec.shape) > 1 else 1
    return count if isinstance(count, int) and count > 0 else 1


def _spread(given: Channels, default: Channels, channels: int) -> Channels:
    """Return `given`, or as much of the default, whose numbers are all one, as there are channels."""
    return given if len(given) == channels else (default[0],) * channels
