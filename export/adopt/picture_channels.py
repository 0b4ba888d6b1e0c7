"""The channels of a foreign network's picture: how many there are, where they stand, what they mean."""

from dataclasses import dataclass
from typing import Any

import msgspec

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.conventions.convention import IMAGENET_MEAN, IMAGENET_STD, Convention, Normalisation
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.tensors import TensorSpec
from segrt.runtime.preprocess.input_spec import Channels, InputSpec

_COLORS, _WITH_ALPHA = 3, 4
_MOST_CHANNELS = 512  # more than any camera has
_AXES = {"NHWC": 3, "NCHW": 1}
# The largest value of each dtype of pictures, which becomes 1 by default; floats are taken as they are.
_UNITS = {"uint8": 255, "uint16": 65_535, "float32": 1}


@dataclass(frozen=True)
class PictureChannels:
    """The order of the channels, the dtype of the picture's values, the arithmetic of grey; as in `InputSpec`."""

    color: str
    values: Any = msgspec.UNSET
    grey: Any = msgspec.UNSET

    def described(self, count: int) -> str:
        """Return what the user is told of it: "rgb", "grey of uint16" or "6 bands of float32"."""
        what = f"{count} bands" if self.color == "bands" else self.color
        what += f" of {self.values}" if self.values is not msgspec.UNSET else ""
        return what + (f" by {self.grey}'s rule" if self.grey is not msgspec.UNSET else "")


def guess_layout(spec: TensorSpec, wanted: str | None) -> str:
    """Return "NHWC" or "NCHW" for an image input: where there are three channels, else where there are few.

    Raises SegrtError when its shape allows neither, or both.
    """
    if len(spec.shape) != 4:
        raise SegrtError(f"input {spec} is no picture: it must have 4 dimensions")
    lengths = {layout: spec.shape[axis] for layout, axis in _AXES.items()}
    if wanted is not None:
        length, others = lengths[wanted], [length for layout, length in lengths.items() if layout != wanted]
        if isinstance(length, int) and (length > _MOST_CHANNELS or (length != _COLORS and _COLORS in others)):
            raise SegrtError(
                f"--layout {wanted}: input {spec} has {length} there, which are no channels; leave --layout out"
            )
        return wanted
    for possible in (
        [layout for layout, length in lengths.items() if length == _COLORS],
        [layout for layout, length in lengths.items() if isinstance(length, int) and _are_few(length, spec, layout)],
        [layout for layout, length in lengths.items() if isinstance(length, str)],
    ):
        if len(possible) == 1:
            return possible[0]
        if possible:
            break
    raise SegrtError(f"input {spec}: the channels are not to be told from its shape; add --layout NHWC or NCHW")


def _are_few(length: int, spec: TensorSpec, layout: str) -> bool:
    """Whether so many channels are few beside the sides of the picture in this layout."""
    sides = [side for axis, side in enumerate(spec.shape) if axis not in (0, _AXES[layout])]
    return length <= _MOST_CHANNELS and all(isinstance(side, str) or length < side for side in sides)


def picture_channels(spec: TensorSpec, layout: str, options: AdoptOptions) -> tuple[int, PictureChannels]:
    """Return how many channels an image input has, and what they are by its shape and the user's options.

    A free length stands for three, grey or four where --color says so. Raises SegrtError for contradictions, and for
    what is not to be told.
    """
    length, color = spec.shape[_AXES[layout]], options.color
    named = {"rgb": 3, "bgr": 3, "grey": 1, "rgba": 4, "bgra": 4}
    count = length if isinstance(length, int) else named.get(color or "rgb", 0)
    if not count:
        raise SegrtError(f"--color {color}: input {spec} has no fixed number of channels; export it with one")
    if color is None:
        if count == _WITH_ALPHA:
            raise SegrtError(
                f"input {spec} has 4 channels, colours with alpha or bands; add --color rgba, bgra or bands"
            )
        color = {1: "grey", _COLORS: "rgb"}.get(count, "bands")
    elif named.get(color, count) != count:
        raise SegrtError(f"--color {color}: input {spec} has {count} channels in layout {layout}; name another order")
    if color == "bands" and options.values is None and spec.dtype != "uint8":
        raise SegrtError(
            f"input {spec} takes {count} bands; say what values their files hold, --values uint8, uint16 or float32"
        )
    if options.grey is not None and color != "grey":
        raise SegrtError(f"--grey {options.grey}: input {spec} is {color}; leave it out")
    values = msgspec.UNSET if options.values in (None, "uint8") else options.values
    if values is not msgspec.UNSET and spec.dtype == "uint8":
        raise SegrtError(f"--values {values}: input {spec} takes bytes; leave it out")
    return count, PictureChannels(color, values, options.grey or msgspec.UNSET)


def per_channel(given: Channels | None, option: str, spec: InputSpec) -> Channels | None:
    """Return one number for each channel of what was given; raise SegrtError where they are neither one nor as many."""
    if given is None or len(given) == spec.channels:
        return given
    if len(set(given)) == 1:
        return (given[0],) * spec.channels
    raise SegrtError(
        f"{option} {','.join(f'{number:g}' for number in given)}: input {spec.name!r} has {spec.channels} channels; "
        "give one number or as many"
    )


def default_normalisation(spec: InputSpec, convention: Convention) -> tuple[Normalisation, str]:
    """Return how values are normalised where the user says nothing, and whose way that is."""
    known = convention.normalisation
    if known is not None and spec.value_dtype == "uint8":
        if spec.channels == len(known.mean):
            return known, f"{convention.exporter}'s"
        if len(set(known.mean)) == len(set(known.std)) == 1:
            channels = spec.channels
            return Normalisation(known.scale, (known.mean[0],) * channels, (known.std[0],) * channels), (
                f"{convention.exporter}'s"
            )
    if spec.channels == _COLORS and spec.color != "bands" and spec.value_dtype == "uint8":
        return Normalisation(1 / 255, IMAGENET_MEAN, IMAGENET_STD), "ImageNet's"
    zeros, ones = (0.0,) * spec.channels, (1.0,) * spec.channels
    return Normalisation(1 / _UNITS[spec.value_dtype], zeros, ones), f"the range of {spec.value_dtype}"
