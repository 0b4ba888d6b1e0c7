"""Colours: one for each class, and shades of it that tell its instances apart."""

import colorsys
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Color = tuple[int, int, int]

# Turning by the golden angle keeps any number of neighbouring classes far apart in hue.
_GOLDEN = 0.61803398875
_TONES = ((0.72, 0.95), (0.55, 0.80), (0.85, 0.75), (0.45, 1.00))

# Frequent classes of streets and photographs in colours that suit them and each other: stuff muted, things vivid.
_NAMED: dict[str, Color] = {
    "background": (0, 0, 0),
    "void": (0, 0, 0),
    "unlabeled": (0, 0, 0),
    "sky": (96, 165, 220),
    "building": (150, 130, 140),
    "wall": (170, 150, 130),
    "road": (112, 92, 148),
    "pavement": (214, 170, 120),
    "sidewalk": (214, 170, 120),
    "grass": (122, 190, 92),
    "terrain": (160, 200, 120),
    "vegetation": (62, 142, 72),
    "tree": (62, 142, 72),
    "water": (64, 120, 180),
    "sea": (52, 110, 175),
    "river": (70, 130, 185),
    "sand": (220, 196, 140),
    "snow": (205, 220, 235),
    "fence": (190, 160, 110),
    "person": (232, 62, 82),
    "rider": (240, 100, 60),
    "cyclist": (250, 150, 30),
    "car": (40, 110, 240),
    "bus": (20, 190, 190),
    "truck": (70, 70, 215),
    "train": (20, 140, 150),
    "motorcycle": (170, 60, 230),
    "motorbike": (170, 60, 230),
    "bicycle": (225, 50, 190),
    "traffic light": (250, 205, 40),
    "traffic sign": (235, 225, 70),
    "stop sign": (235, 225, 70),
    "dog": (200, 120, 50),
    "cat": (225, 140, 90),
}

# (turn of hue, factor of saturation, factor of value): neighbours in the list differ clearly, none leaves its class.
_SHADES = ((0.0, 1.0, 1.0), (0.035, 0.78, 1.06), (-0.035, 1.1, 0.78), (0.02, 0.66, 0.95), (-0.02, 0.88, 1.2))
SHADES = len(_SHADES)


def class_color(index: int) -> Color:
    """Return the `index`-th of a sequence of RGB colours of which neighbours differ clearly."""
    saturation, value = _TONES[index // 3 % len(_TONES)]
    red, green, blue = colorsys.hsv_to_rgb((0.58 + index * _GOLDEN) % 1.0, saturation, value)
    return (round(red * 255), round(green * 255), round(blue * 255))


def label_color(name: str, index: int) -> Color:
    """Return an RGB colour for the class `name`: a fitting one if it is common, else the `index`-th."""
    plain = name.lower().removesuffix("-merged").removesuffix("-other").removesuffix("-other")
    return _NAMED.get(plain) or class_color(index)


@lru_cache(maxsize=4096)
def shade(color: Color, index: int) -> Color:
    """Return the `index`-th shade of an RGB class colour; the 0th is the colour itself, `SHADES` of them differ."""
    turn, saturate, brighten = _SHADES[index % SHADES]
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in color))
    if saturation < 0.08:
        turn = 0.0  # a grey has no hue to turn
    rgb = colorsys.hsv_to_rgb((hue + turn) % 1.0, min(1.0, saturation * saturate), min(1.0, value * brighten))
    return (round(rgb[0] * 255), round(rgb[1] * 255), round(rgb[2] * 255))


def instance_shades(
    class_ids: Sequence[int], centers: Sequence[float], track_ids: Sequence[int | None] | None = None
) -> list[int]:
    """Choose a shade index for each object, so that those of one class that stand side by side differ.

    `centers` are the objects' horizontal centres as fractions of the picture's width. An object of a track has the
    track's shade, wherever it goes. The shade of another one depends on its own place (and on others only where two
    share it), so that it does not change with every frame of a video.
    """
    tracks = [] if track_ids is None else [track for track in track_ids if track is not None]
    if tracks and len(tracks) == len(class_ids):
        return [track % SHADES for track in tracks]
    if tracks and track_ids is not None:
        untracked = iter(
            instance_shades(
                [kind for kind, track in zip(class_ids, track_ids, strict=True) if track is None],
                [center for center, track in zip(centers, track_ids, strict=True) if track is None],
            )
        )
        return [next(untracked) if track is None else track % SHADES for track in track_ids]
    used: dict[tuple[int, int], set[int]] = {}
    chosen: list[int] = [0] * len(class_ids)
    for position in sorted(range(len(class_ids)), key=lambda index: centers[index]):
        column = int(centers[position] * 12)
        wanted = column * 2 % SHADES
        near = used.get((class_ids[position], column), set()) | used.get((class_ids[position], column - 1), set())
        for step in range(SHADES):
            candidate = (wanted + step) % SHADES
            if candidate not in near:
                break
        else:
            candidate = wanted
        chosen[position] = candidate
        used.setdefault((class_ids[position], column), set()).add(candidate)
    return chosen


def bgr(color: Color) -> npt.NDArray[np.float32]:
    """Return an RGB colour as float32 (3,) in OpenCV's order."""
    return np.array(color[::-1], dtype=np.float32)


def mix(color: npt.NDArray[np.float32], other: Color, amount: float) -> npt.NDArray[np.float32]:
    """Return `color` (BGR) moved by `amount` (0 to 1) towards the RGB colour `other`."""
    mixed: npt.NDArray[np.float32] = color + (bgr(other) - color) * np.float32(amount)
    return mixed
