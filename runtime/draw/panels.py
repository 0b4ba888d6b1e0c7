"""Pictures beside each other on a light page: title above, caption lines below."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from segrt.runtime.draw.fills import Image
from segrt.runtime.draw.text import line, text_width
from segrt.runtime.results.labels.palette import Color

Panel = tuple[str, Image, Sequence[str]]

_PAGE: Color = (247, 248, 250)
_CARD: Color = (255, 255, 255)
_EDGE: Color = (222, 226, 232)
_INK: Color = (24, 28, 36)
_GREY: Color = (92, 100, 114)


@dataclass(frozen=True)
class _Sheet:
    """The measures of a page in pixels."""

    columns: int
    gap: int
    inset: int
    title: int
    caption: int
    picture: int

    @property
    def card(self) -> int:
        return self.picture + 2 * self.inset


@dataclass(frozen=True)
class _Text:
    """The lines above and below a picture, each as wide as the card at most."""

    title: list[str]
    captions: list[str]


def fit(image: Image, max_side: int) -> Image:
    """Return `image` (H, W, 3) reduced so that no side is above `max_side` pixels; never enlarged."""
    if max_side < 1:
        raise ValueError(f"max_side must be at least 1, but got {max_side}")
    height, width = image.shape[:2]
    if max(height, width) <= max_side:
        return image
    factor = max_side / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def side_by_side(panels: Sequence[Panel], width: int = 1800, *, columns: int | None = None) -> Image:
    """Return a page with one card per panel.

    Args:
        panels: (title, picture uint8 (H, W, 3) BGR, caption lines) each; pictures may differ in size.
        width: of the page in pixels; the default reads well at half of it.
        columns: cards per row; by default what suits the pictures' shape: four wide ones stand two by two.

    Returns:
        uint8 (height, width, 3) BGR.
    """
    if not panels:
        raise ValueError("panels must hold at least one panel, but it is empty")
    if width < 200:
        raise ValueError(f"width must be at least 200 pixels, but got {width}")
    aspect = float(np.median([image.shape[1] / image.shape[0] for _, image, _ in panels]))
    sheet = _sheet(width, columns or _columns(len(panels), aspect))
    texts = [_text(panel, sheet) for panel in panels]
    rows_of_text = (max(len(text.title) for text in texts), max(len(text.captions) for text in texts))
    cards = [_card(text, image, sheet, rows_of_text) for text, (_, image, _) in zip(texts, panels, strict=True)]
    rows = [cards[start : start + sheet.columns] for start in range(0, len(cards), sheet.columns)]
    heights = [max(card.shape[0] for card in row) for row in rows]
    page = _plain(sum(heights) + sheet.gap * (len(rows) + 1), width, _PAGE)
    top = sheet.gap
    for row, height in zip(rows, heights, strict=True):
        # A last row with fewer cards stands in the middle.
        left = (width - len(row) * sheet.card - (len(row) - 1) * sheet.gap) // 2
        for card in row:
            _frame(page, left, top, sheet.card, height, max(4, sheet.inset // 2))
            page[top : top + card.shape[0], left : left + sheet.card][_inner(card, sheet)] = card[_inner(card, sheet)]
            left += sheet.card + sheet.gap
        top += height + sheet.gap
    return page


def _columns(count: int, aspect: float) -> int:
    if count <= 3:
        return count if aspect < 2.2 else 1
    if count == 4:
        return 2 if aspect >= 1.1 else 4
    return min(count, max(2, round(float(np.sqrt(count * 1.6 / aspect)))))


def _sheet(width: int, columns: int) -> _Sheet:
    gap = max(6, width // 75)
    card = (width - gap * (columns + 1)) // columns
    inset = max(4, width // 120)
    # Type follows the page, so that it reads the same however many cards stand in a row, but it must fit the card.
    title = max(11, min(width // 52, card // 11))
    return _Sheet(columns, gap, inset, title, max(10, round(title * 0.80)), card - 2 * inset)


def _card(text: _Text, image: Image, sheet: _Sheet, rows: tuple[int, int]) -> Image:
    """Return a card; `rows` are how many lines its row of cards gives to titles and to captions."""
    height, width = image.shape[:2]
    picture_height = max(1, round(height * sheet.picture / width))
    method = cv2.INTER_AREA if sheet.picture < width else cv2.INTER_CUBIC
    picture = cv2.resize(image, (sheet.picture, picture_height), interpolation=method)
    titles, captions = rows
    leading = round(sheet.title * 1.3)
    head = round(sheet.title * 2.1) + leading * (titles - 1)
    step = round(sheet.caption * 1.5)
    foot = round(sheet.caption * 0.7) + step * captions if captions else 0
    card = _plain(head + picture_height + foot + sheet.inset, sheet.card, _CARD)
    top = max(0, round((sheet.title * 2.1 - sheet.title * 1.05) / 2))
    for row, words in enumerate(text.title):
        line(words, sheet.title, _INK, _weight(sheet.title)).paste(card, sheet.inset, top + row * leading)
    card[head : head + picture_height, sheet.inset : sheet.inset + sheet.picture] = picture
    top = head + picture_height + round(sheet.caption * 0.55)
    for words in text.captions:
        line(words, sheet.caption, _GREY).paste(card, sheet.inset, top)
        top += step
    return card


def _text(panel: Panel, sheet: _Sheet) -> _Text:
    title, _, captions = panel
    below = [words for caption in captions for words in wrapped(caption, sheet.caption, sheet.picture)]
    return _Text(wrapped(title, sheet.title, sheet.picture), below)


def _weight(size: int) -> float:
    return size * 0.045


def wrapped(text: str, size: int, width: int) -> list[str]:
    """Return `text` in lines of at most `width` pixels at font size `size`: between words, in one where it is wider."""
    lines: list[str] = []
    current = ""
    for word in text.split(" "):
        joined = f"{current} {word}" if current else word
        if text_width(joined, size) <= width:
            current = joined
            continue
        lines += [current] if current else []
        while text_width(word, size) > width and len(word) > 1:
            widths = [text_width(word[:count], size) for count in range(1, len(word) + 1)]
            fitting = max(1, bisect_right(widths, width))
            lines.append(word[:fitting])
            word = word[fitting:]
        current = word
    return [*lines, current] if current or not lines else lines


def _plain(height: int, width: int, color: Color) -> Image:
    return np.full((height, width, 3), color[::-1], dtype=np.uint8)


def _inner(card: Image, sheet: _Sheet) -> tuple[slice, slice]:
    margin = max(2, sheet.inset // 2)
    return slice(margin, card.shape[0] - margin), slice(margin, card.shape[1] - margin)


def _frame(page: Image, left: int, top: int, width: int, height: int, radius: int) -> None:
    """Draw a white card with round corners, a hairline and a soft shadow onto the page."""
    pad = radius * 2
    mask = np.zeros((height + 2 * pad, width + 2 * pad), np.uint8)
    _rounded(mask, pad, pad, width, height, radius)
    shadow = cv2.GaussianBlur(mask, (0, 0), radius * 0.8).astype(np.float32)[..., None] * (0.10 / 255)
    y0, x0 = max(0, top - pad), max(0, left - pad)
    y1, x1 = min(page.shape[0], top + height + pad), min(page.shape[1], left + width + pad)
    part = (slice(y0 - top + pad, y1 - top + pad), slice(x0 - left + pad, x1 - left + pad))
    region = page[y0:y1, x0:x1].astype(np.float32) * (1 - shadow[part])
    for inset, color in ((0, _EDGE), (1, _CARD)):
        shape = np.zeros_like(mask)
        _rounded(shape, pad + inset, pad + inset, width - 2 * inset, height - 2 * inset, radius - inset)
        cover = shape[part].astype(np.float32)[..., None] / 255
        region = region * (1 - cover) + cover * np.array(color[::-1], np.float32)
    page[y0:y1, x0:x1] = np.rint(region).astype(np.uint8)


def _rounded(mask: Image, left: int, top: int, width: int, height: int, radius: int) -> None:
    """Fill a rectangle with round, smooth corners with 255 in `mask` (h, w)."""
    right, bottom = left + width - 1, top + height - 1
    mask[top : bottom + 1, left + radius : right - radius + 1] = 255
    mask[top + radius : bottom - radius + 1, left : right + 1] = 255
    for x in (left + radius, right - radius):
        for y in (top + radius, bottom - radius):
            cv2.circle(mask, (x * 16, y * 16), radius * 16, 255, -1, cv2.LINE_AA, 4)
