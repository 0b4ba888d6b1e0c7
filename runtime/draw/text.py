"""Text as small pictures, rendered once and kept: OpenCV's own letters are made of strokes, Pillow's are type."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import paste_sprites
from segrt.runtime.results.labels.palette import Color

# Letters are drawn larger and reduced by area: spacing stays even at 9 pixels, where hinted type closes its gaps.
_OVERSAMPLING = 4
_PILL = (18, 20, 26)
_PILL_OPACITY = 0.80
_QUIET = 0.72
_BOX_MARGIN = 0.1
# What the font lacks: the signs for times, minus, dashes and arrows.
_SPELLINGS = {0xD7: "x", 0x2212: "-", 0x2013: "-", 0x2014: "-", 0x2192: "->", 0x2026: "..."}


@dataclass(frozen=True, eq=False)
class Sprite:
    """A picture with soft edges, uint8 (h, w, 3) BGR: `light` is added, `keep` is the share kept of what lies below."""

    light: npt.NDArray[np.uint8]
    keep: npt.NDArray[np.uint8]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.light.shape[0], self.light.shape[1]

    @property
    def parts(self) -> tuple["Sprite", ...]:
        """The sprites that it is made of."""
        return (self,)

    def paste(self, canvas: npt.NDArray[np.uint8], left: int, top: int) -> None:
        """Blend into `canvas` uint8 (H, W, 3) BGR with its corner at (left, top); what lies outside is cut off."""
        paste(canvas, [(self, left, top)])


@dataclass(frozen=True, eq=False)
class Row:
    """Sprites of one height that stand beside each other as one."""

    parts: tuple[Sprite, ...]
    size: tuple[int, int]
    """(height, width) in pixels."""


def paste(canvas: npt.NDArray[np.uint8], placed: Iterable[tuple[Sprite | Row, int, int]]) -> None:
    """Blend sprites into `canvas` uint8 (H, W, 3) BGR, each with its corner at (left, top), the first first."""
    laid = []
    for sprite, left, top in placed:
        for part in sprite.parts:
            laid.append((part.light, part.keep, left, top))
            left += part.size[1]
    paste_sprites(canvas, laid)


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


@lru_cache(maxsize=4096)
def printable(text: str) -> str:
    """Return `text` in letters that the font has: accents are dropped, anything else becomes a question mark."""
    plain = unicodedata.normalize("NFKD", text).translate(_SPELLINGS)
    kept = [letter for letter in plain if not unicodedata.combining(letter)]
    return "".join(letter if " " <= letter <= "~" or letter in "·°" else "?" for letter in kept)


@lru_cache(maxsize=64)
def _metrics(size: int) -> tuple[Any, int, int]:
    font = _font(size * _OVERSAMPLING)
    ascent = -font.getbbox("H", anchor="ls")[1]
    descent = font.getbbox("gp", anchor="ls")[3]
    return font, ascent, descent


def text_width(text: str, size: int) -> float:
    """Return the width in pixels of `text` at font size `size` (pixels)."""
    return float(_metrics(size)[0].getlength(printable(text))) / _OVERSAMPLING


@lru_cache(maxsize=256)
def line(text: str, size: int, color: Color, weight: float = 0.0) -> Sprite:
    """Return one line of text in an RGB colour; `weight` thickens the strokes by that many pixels."""
    from PIL import Image, ImageDraw

    font, ascent, descent = _metrics(size)
    shown = printable(text)
    stroke = round(weight * _OVERSAMPLING / 2)
    width = max(_OVERSAMPLING, _round_up(font.getlength(shown) + 2 * stroke))
    height = _round_up(ascent + descent + 2 * stroke + _OVERSAMPLING)
    canvas = Image.new("L", (width, height), 0)
    ImageDraw.Draw(canvas).text((stroke, ascent + stroke), shown, fill=255, font=font, anchor="ls", stroke_width=stroke)
    cover = _reduce(np.asarray(canvas)).astype(np.float32) / 255
    return _sprite(cover[..., None] * np.array(color[::-1], np.float32), cover)


def pill(name: str, score: str, size: int, color: Color) -> Sprite | Row:
    """Return a label: a dark rounded pill with a dot in an RGB colour, the name, and the score more quietly.

    Scores change from frame to frame and names do not, so that a pill is put together from both.
    """
    if not score:
        return _named(name, size, color, True)
    begin, end = _named(name, size, color, False), _scored(score, size)
    return Row((begin, end), (begin.size[0], begin.size[1] + end.size[1]))


@lru_cache(maxsize=1024)
def _named(name: str, size: int, color: Color, alone: bool) -> Sprite:
    """Return a pill's beginning with its dot and name; `alone`, with its end."""
    unit = size * _OVERSAMPLING
    dot, gap, margin = unit * 0.48, unit * 0.34, unit * 0.52
    left, shown = margin + dot + gap, printable(name)
    width = _round_up(left + _metrics(size)[0].getlength(shown) + (unit * 0.60 if alone else 0))
    words = _Words(shown, left, 255)
    return _part_of_pill(size, width, words, (True, alone), (margin, dot, color))


@lru_cache(maxsize=1024)
def _scored(score: str, size: int) -> Sprite:
    """Return a pill's end with its score."""
    unit, shown = size * _OVERSAMPLING, printable(score)
    left = unit * 0.36
    width = _round_up(left + _metrics(size)[0].getlength(shown) + unit * 0.60)
    return _part_of_pill(size, width, _Words(shown, left, round(255 * _QUIET)), (False, True))


@dataclass(frozen=True)
class _Words:
    """What a part of a pill says, from where on (pixels of the larger drawing), and how brightly (0 to 255)."""

    text: str
    left: float
    light: int


def _part_of_pill(
    size: int, width: int, words: _Words, rounded: tuple[bool, bool], dot: tuple[float, float, Color] | None = None
) -> Sprite:
    """Return a part of a pill, `rounded` at its left and right end; `dot` is where it begins, its width and colour."""
    from PIL import Image, ImageDraw

    font, ascent, _ = _metrics(size)
    unit = size * _OVERSAMPLING
    height = _round_up(unit * 1.50)
    body = Image.new("L", (width, height), 0)
    ends = 0 if rounded[0] else -height, width - 1 if rounded[1] else width + height
    ImageDraw.Draw(body).rounded_rectangle((ends[0], 0, ends[1], height - 1), radius=height / 2, fill=255)
    letters = Image.new("L", (width, height), 0)
    # Centred by the height of lower-case letters and capitals together, which is what the eye takes for the middle.
    baseline = height / 2 + ascent * 0.47
    # A hair of stroke: light type on dark looks thinner than it is.
    hair = max(1, round(unit * 0.012)) if size < 24 else 0
    ImageDraw.Draw(letters).text(
        (words.left, baseline), words.text, fill=words.light, font=font, anchor="ls", stroke_width=hair
    )
    layers = [(letters, (255, 255, 255))]
    if dot is not None:
        begin, across, color = dot
        disc, top = Image.new("L", (width, height), 0), (height - across) / 2
        ImageDraw.Draw(disc).ellipse((begin, top, begin + across, top + across), fill=255)
        layers.insert(0, (disc, color))

    back = _reduce(np.asarray(body)).astype(np.float32) / 255 * _PILL_OPACITY
    light = back[..., None] * np.array(_PILL[::-1], np.float32)
    alpha = back
    for layer, tint in layers:
        cover = _reduce(np.asarray(layer)).astype(np.float32) / 255
        light = light * (1 - cover[..., None]) + cover[..., None] * np.array(tint[::-1], np.float32)
        alpha = alpha * (1 - cover) + cover
    return _sprite(light, alpha)


def boxed(text: str, size: int, color: Color) -> Sprite | Row:
    """Return one line of text in an RGB colour on a black box, as Detectron2 writes its labels.

    Its last word, which may be a score, is drawn for itself: it changes from frame to frame.
    """
    begin, space, last = text.rpartition(" ")
    if not begin:
        return _boxed(text, size, color, (True, True))
    parts = _boxed(begin, size, color, (True, False)), _boxed(space + last, size, color, (False, True))
    return Row(parts, (parts[0].size[0], parts[0].size[1] + parts[1].size[1]))


@lru_cache(maxsize=1024)
def _boxed(text: str, size: int, color: Color, margins: tuple[bool, bool]) -> Sprite:
    """Return a part of a line on its box, which has margins above and below, and at its left and right as told."""
    letters = line(text, size, color)
    margin = max(1, round(size * _BOX_MARGIN))
    before, after = (margin if told else 0 for told in margins)
    height, width = letters.size[0] + 2 * margin, before + letters.size[1] + after
    light = np.zeros((height, width, 3), np.uint8)
    keep = np.full((height, width, 3), round((1 - _PILL_OPACITY) * 255), np.uint8)
    inside = (slice(margin, height - margin), slice(before, width - after))
    light[inside] = letters.light
    keep[inside] = cv2.multiply(keep[inside], letters.keep, scale=1 / 255)
    return Sprite(light, keep)


def _sprite(light: npt.NDArray[Any], alpha: npt.NDArray[Any]) -> Sprite:
    keep = np.repeat(np.rint((1 - alpha) * 255).astype(np.uint8)[..., None], 3, axis=2)
    return Sprite(np.rint(light).clip(0, 255).astype(np.uint8), keep)


def _round_up(value: float) -> int:
    whole = int(np.ceil(value))
    return whole + -whole % _OVERSAMPLING


def _reduce(mask: npt.NDArray[Any]) -> npt.NDArray[Any]:
    height, width = mask.shape
    return cv2.resize(mask, (width // _OVERSAMPLING, height // _OVERSAMPLING), interpolation=cv2.INTER_AREA)
