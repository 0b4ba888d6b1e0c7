"""Text as small pictures, rendered once and kept: OpenCV's own letters are made of strokes, Pillow's are type."""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

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

    def paste(self, canvas: npt.NDArray[np.uint8], left: int, top: int) -> None:
        """Blend into `canvas` uint8 (H, W, 3) BGR with its corner at (left, top); what lies outside is cut off."""
        height, width = self.size
        y0, x0 = max(top, 0), max(left, 0)
        y1, x1 = min(top + height, canvas.shape[0]), min(left + width, canvas.shape[1])
        if y0 >= y1 or x0 >= x1:
            return
        part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        region = canvas[y0:y1, x0:x1]
        canvas[y0:y1, x0:x1] = cv2.add(cv2.multiply(region, self.keep[part], scale=1 / 255), self.light[part])


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


@lru_cache(maxsize=512)
def pill(name: str, score: str, size: int, color: Color) -> Sprite:
    """Return a label: a dark rounded pill with a dot in an RGB colour, the name, and the score more quietly."""
    from PIL import Image, ImageDraw

    font, ascent, _ = _metrics(size)
    shown, number = printable(name), printable(score)
    unit = size * _OVERSAMPLING
    height = _round_up(unit * 1.50)
    dot, gap, margin = unit * 0.48, unit * 0.34, unit * 0.52
    name_width = font.getlength(shown)
    number_left = margin + dot + gap + name_width + unit * 0.36
    end = number_left + font.getlength(number) if number else margin + dot + gap + name_width
    width = _round_up(end + unit * 0.60)

    body = Image.new("L", (width, height), 0)
    ImageDraw.Draw(body).rounded_rectangle((0, 0, width - 1, height - 1), radius=height / 2, fill=255)
    disc = Image.new("L", (width, height), 0)
    top = (height - dot) / 2
    ImageDraw.Draw(disc).ellipse((margin, top, margin + dot, top + dot), fill=255)
    letters = Image.new("L", (width, height), 0)
    pen = ImageDraw.Draw(letters)
    # Centred by the height of lower-case letters and capitals together, which is what the eye takes for the middle.
    baseline = height / 2 + ascent * 0.47
    # A hair of stroke: light type on dark looks thinner than it is.
    hair = max(1, round(unit * 0.012)) if size < 24 else 0
    pen.text((margin + dot + gap, baseline), shown, fill=255, font=font, anchor="ls", stroke_width=hair)
    if number:
        pen.text((number_left, baseline), number, fill=round(255 * _QUIET), font=font, anchor="ls", stroke_width=hair)

    back = _reduce(np.asarray(body)).astype(np.float32) / 255 * _PILL_OPACITY
    light = back[..., None] * np.array(_PILL[::-1], np.float32)
    alpha = back
    for layer, tint in ((disc, color), (letters, (255, 255, 255))):
        cover = _reduce(np.asarray(layer)).astype(np.float32) / 255
        light = light * (1 - cover[..., None]) + cover[..., None] * np.array(tint[::-1], np.float32)
        alpha = alpha * (1 - cover) + cover
    return _sprite(light, alpha)


@lru_cache(maxsize=512)
def boxed(text: str, size: int, color: Color) -> Sprite:
    """Return one line of text in an RGB colour on a black box, as Detectron2 writes its labels."""
    letters = line(text, size, color)
    margin = max(1, round(size * _BOX_MARGIN))
    height, width = letters.size[0] + 2 * margin, letters.size[1] + 2 * margin
    light = np.zeros((height, width, 3), np.uint8)
    keep = np.full((height, width, 3), round((1 - _PILL_OPACITY) * 255), np.uint8)
    box = Sprite(light, keep)
    inside = (slice(margin, height - margin), slice(margin, width - margin))
    light[inside] = letters.light
    keep[inside] = cv2.multiply(keep[inside], letters.keep, scale=1 / 255)
    return box


def _sprite(light: npt.NDArray[Any], alpha: npt.NDArray[Any]) -> Sprite:
    keep = np.repeat(np.rint((1 - alpha) * 255).astype(np.uint8)[..., None], 3, axis=2)
    return Sprite(np.rint(light).clip(0, 255).astype(np.uint8), keep)


def _round_up(value: float) -> int:
    whole = int(np.ceil(value))
    return whole + -whole % _OVERSAMPLING


def _reduce(mask: npt.NDArray[Any]) -> npt.NDArray[Any]:
    height, width = mask.shape
    return cv2.resize(mask, (width // _OVERSAMPLING, height // _OVERSAMPLING), interpolation=cv2.INTER_AREA)
