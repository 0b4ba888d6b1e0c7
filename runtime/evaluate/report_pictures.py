"""Pictures of an evaluation: the worst images first, the confusion matrix, bars of the classes' figures."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.draw import fit, overlay, side_by_side
from segrt.runtime.draw.panels import Panel
from segrt.runtime.draw.text import line, text_width
from segrt.runtime.evaluate import conversion
from segrt.runtime.evaluate.class_matching import ClassMatch
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.datasets.dataset import Dataset, ImageId
from segrt.runtime.evaluate.evaluation import Figure
from segrt.runtime.evaluate.measuring import Predictor
from segrt.runtime.evaluate.truth import PanopticTruth, SemanticTruth, Truth
from segrt.runtime.files.images import Picture
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Result, SemanticResult, rle

_SIDE = 480
_WRONG = (50, 50, 235)  # BGR
_MISSED = (30, 160, 245)
_EXTRA = (200, 60, 190)
_INK = (24, 28, 36)
_GREY = (92, 100, 114)
_TRACK = (228, 232, 238)
_FONT = 15
_MOST_CLASSES = 60
_MATRIX_TITLE = "True class by row, predicted class by column, percent of the true pixels"


def worst_sheet(
    images: Sequence[tuple[ImageId, float]], predictor: Predictor, dataset: Dataset, match: ClassMatch, figure: str
) -> Picture:
    """Return a page with a row for each image: picture, truth, prediction and where they differ.

    In the difference wrong classes are red, what was missed orange, what should not be there violet; void is left out.
    """
    by_id = {sample.image_id: sample for sample in dataset.samples}
    panels: list[Panel] = []
    for image_id, value in images:
        sample = by_id[image_id]
        image = dataset.read_image(sample)
        truth = conversion.truth(dataset.read_truth(sample), match)
        prediction = predictor.predict(sample, dataset)
        true, predicted = truth_result(truth, match), _as_result(prediction, match, truth.size)
        panels += [
            (f"{sample.image_path.stem}  {figure} {value:.3f}", fit(image, _SIDE), []),
            ("truth", fit(overlay(image, true, scores=False), _SIDE), []),
            ("prediction", fit(overlay(image, predicted), _SIDE), []),
            ("difference", fit(difference(image, true, predicted), _SIDE), []),
        ]
    return np.asarray(side_by_side(panels, 1800, columns=4))


def difference(image: Picture, true: Result, predicted: Result) -> Picture:
    """Return the picture in grey with the pixels whose class differs in colour, uint8 (H, W, 3) BGR."""
    wanted, taken = _classes(true), _classes(predicted)
    nothing = len(true.labels)
    known = np.ones(wanted.shape, dtype=bool) if isinstance(true, InstanceResult) else wanted != nothing
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    canvas = np.asarray(cv2.addWeighted(grey, 0.55, np.full_like(grey, 255), 0.25, 0), np.uint8)
    wrong = known & (wanted != taken)
    for mask, color in (
        (wrong & (wanted != nothing) & (taken != nothing), _WRONG),
        (wrong & (taken == nothing), _MISSED),
        (wrong & (wanted == nothing), _EXTRA),
    ):
        canvas[mask] = (canvas[mask] * 0.25 + np.array(color) * 0.75).astype(np.uint8)
    return canvas


def truth_result(truth: Truth, match: ClassMatch) -> Result:
    """Return a truth as a result, to be drawn."""
    if isinstance(truth, PanopticTruth):
        return truth.to_result()
    if isinstance(truth, SemanticTruth):
        return SemanticResult(truth.classes, match.labels)
    return _instances(truth.annotations, match, truth.size)


def confusion_picture(confusion: npt.NDArray[np.int64], labels: Sequence[Label]) -> Picture:
    """Return the matrix (C, C + 1) as a picture: row = true class, column = what its pixels were taken for, in percent.

    The last column is void. Of many classes those with the most true pixels are shown.
    """
    order = np.argsort(-confusion.sum(axis=1), kind="stable")
    chosen = sorted(index for index in order[:_MOST_CLASSES].tolist() if confusion[index].sum())
    if not chosen:
        chosen = [0]
    columns = [*chosen, confusion.shape[1] - 1]
    share = confusion[chosen][:, columns] / np.maximum(1, confusion[chosen].sum(axis=1, keepdims=True))
    names = [labels[index].name for index in chosen]
    cell = 44 if len(chosen) <= 24 else 22
    left = int(max(text_width(name, _FONT) for name in names)) + 28
    top, margin = 76, 16
    heads = [*names, "void"]
    slant = int(max(text_width(name, _FONT) for name in heads) * 0.71) + 30
    height = top + slant + cell * len(chosen) + margin
    width = max(left + cell * len(columns) + slant, int(text_width(_MATRIX_TITLE, _FONT)) + margin) + margin
    page = np.full((height, width, 3), 255, np.uint8)
    line(_MATRIX_TITLE, _FONT, _INK).paste(page, margin, 16)
    for column, name in enumerate(heads):
        _slanted(page, name, left + column * cell + cell // 2, top + slant - 8)
    for row, name in enumerate(names):
        y = top + slant + row * cell
        line(name, _FONT, _INK).paste(page, left - 12 - int(text_width(name, _FONT)), y + cell // 2 - _FONT // 2 - 3)
        for column in range(len(columns)):
            value = float(share[row, column])
            x = left + column * cell
            right = row == column
            color = _blend((46, 125, 80) if right else (200, 60, 45), value**0.6)
            page[y + 1 : y + cell - 1, x + 1 : x + cell - 1] = color[::-1]
            if cell > 30 and value >= 0.005:
                text = f"{100 * value:.0f}"
                ink = (255, 255, 255) if value**0.6 > 0.55 else _INK
                line(text, 13, ink).paste(page, x + (cell - int(text_width(text, 13))) // 2, y + cell // 2 - 9)
    return page


def bars_picture(
    title: str, per_class: "dict[str, dict[str, Figure]]", figure: str, labels: Sequence[Label]
) -> Picture:
    """Return a bar for each class's figure, best first; classes without one are left out."""
    colors = {label.name: label.color for label in labels}
    known = [(name, values[figure]) for name, values in per_class.items() if values.get(figure) is not None]
    rows = sorted(((name, float(value or 0.0)) for name, value in known), key=lambda row: -row[1])
    left = int(max((text_width(name, _FONT) for name, _ in rows), default=40)) + 36
    step, top, span = 30, 64, 560
    page = np.full((top + step * max(1, len(rows)) + 16, left + span + 90, 3), 255, np.uint8)
    line(title, _FONT + 2, _INK, 0.6).paste(page, 20, 20)
    for index, (name, value) in enumerate(rows):
        y = top + index * step
        line(name, _FONT, _INK).paste(page, left - 14 - int(text_width(name, _FONT)), y + 2)
        page[y + 3 : y + 21, left : left + span] = _TRACK[::-1]
        page[y + 3 : y + 21, left : left + round(span * value)] = colors.get(name, _GREY)[::-1]
        line(f"{value:.3f}", _FONT, _GREY).paste(page, left + span + 14, y + 2)
    return page


def _as_result(prediction: Prediction, match: ClassMatch, size: tuple[int, int]) -> Result:
    if isinstance(prediction, SemanticResult):
        return SemanticResult(conversion.class_map(prediction, match), match.labels)
    if isinstance(prediction, PanopticResult | PanopticTruth):
        whole = conversion.panoptic(prediction, match)
        return whole.to_result() if isinstance(whole, PanopticTruth) else whole
    detections = conversion.detections(prediction, match)
    return _instances([entry for entry in detections if entry["score"] > 0.5], match, size)


def _instances(entries: "list[dict[str, Any]]", match: ClassMatch, size: tuple[int, int]) -> InstanceResult:
    codes: list[rle.Rle] = []
    kept = [entry for entry in entries if isinstance(entry.get("segmentation"), dict)]
    for entry in kept:
        counts = entry["segmentation"]["counts"]
        packed = counts.encode("ascii") if isinstance(counts, str) else counts
        codes.append({"size": list(size), "counts": packed})
    extents = rle.measure(codes)[1] if codes else np.zeros((0, 4))
    return InstanceResult(
        boxes=extents.astype(np.float32).reshape(-1, 4),
        scores=np.array([entry.get("score", 1.0) for entry in kept], dtype=np.float32),
        class_ids=np.array([entry["category_id"] for entry in kept], dtype=np.int64),
        rles=codes,
        size=size,
        labels=match.labels,
    )


def _classes(result: Result) -> npt.NDArray[np.int64]:
    """Return each pixel's class; nothing is the number of labels."""
    nothing = len(result.labels)
    if isinstance(result, InstanceResult):
        classes = np.full(result.size, nothing, dtype=np.int64)
        for index in np.argsort(result.scores, kind="stable"):
            classes[result.masks[index]] = result.class_ids[index]
        return classes
    semantic = result.to_semantic() if isinstance(result, PanopticResult) else result
    return np.minimum(semantic.class_map.astype(np.int64), nothing)


def _slanted(page: Picture, text: str, x: int, y: int) -> None:
    """Write text that rises to the right at 45 degrees from (x, y)."""
    side = int(text_width(text, _FONT)) + 2 * _FONT
    strip = np.full((2 * side, 2 * side, 3), 255, np.uint8)
    line(text, _FONT, _INK).paste(strip, side, side - _FONT // 2 - 3)
    turned = cv2.warpAffine(
        strip,
        cv2.getRotationMatrix2D((side, side), 45, 1.0),
        (2 * side, 2 * side),
        flags=cv2.INTER_CUBIC,
        borderValue=(255, 255, 255),
    )
    y0, x0 = max(0, y - side), max(0, x - side)
    y1, x1 = min(page.shape[0], y + side), min(page.shape[1], x + side)
    part = turned[y0 - y + side : y1 - y + side, x0 - x + side : x1 - x + side]
    page[y0:y1, x0:x1] = np.minimum(page[y0:y1, x0:x1], part)


def _blend(color: tuple[int, int, int], amount: float) -> tuple[int, int, int]:
    red, green, blue = (round(246 + (channel - 246) * amount) for channel in color)
    return red, green, blue
