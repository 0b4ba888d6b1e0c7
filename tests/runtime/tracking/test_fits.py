"""The core compares tracks with things as the formulas do, written out for whole arrays."""

import numpy as np
import pytest

from segrt.runtime.postproc import ArgumentError, FitWorth, MaskRuns, TrackRows, fit_tracks
from segrt.runtime.results import rle
from segrt.runtime.tracking.box_overlap import box_iou

SIZE = (48, 70)
WORTH = FitWorth(unseen=0.7, seen_last=0.9, emerging=0.3, other_class=0.5, reach=0.5, grown=64.0)


def masks_of(rng, count):
    masks = np.zeros((count, *SIZE), np.uint8)
    for number in range(1, count):  # the first is empty
        x, y = rng.integers(-5, SIZE[1] - 3), rng.integers(-5, SIZE[0] - 3)
        masks[number, max(0, y) : y + int(rng.integers(6, 30)), max(0, x) : x + int(rng.integers(6, 30))] = 1
    return masks * (rng.random(masks.shape) < 0.9)


def runs_of(masks, by_columns):
    if by_columns:
        return MaskRuns.of_rles([rle.encode(mask) for mask in masks])
    parts = [MaskRuns.of_map(np.ascontiguousarray(mask.astype(np.uint8)), [1]) for mask in masks]
    return MaskRuns.of_parts([part.runs for part in parts], by_columns=False)


def grown(boxes, share):
    margin = share * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate((boxes[:, :2] - margin, boxes[:, 2:] + margin), axis=1)


def box_nearness(boxes, others, deviations):
    """How likely the smaller of each pair is a part of the larger: 1 inside, 0.61 at one deviation outside."""
    low = boxes[:, None, :2] - others[None, :, :2]
    high = boxes[:, None, 2:] - others[None, :, 2:]
    outside = np.where(low * high > 0, np.minimum(np.abs(low), np.abs(high)), 0.0)
    return np.exp(-0.5 * ((outside / deviations[:, None]) ** 2).sum(axis=-1))


def keeping_a_side(boxes, others, deviations):
    """How likely one of the four sides is where it should be: 1 there, 0.61 at one deviation."""
    off = np.abs(boxes[:, None] - others[None]) / np.tile(deviations, 2)[:, None]
    return np.exp(-0.5 * off.min(axis=-1) ** 2)


def moved(mask, dx, dy):
    """The mask moved over a wide ground, of which the picture is the middle."""
    ground = np.zeros((3 * SIZE[0], 3 * SIZE[1]), bool)
    ground[SIZE[0] + dy : 2 * SIZE[0] + dy, SIZE[1] + dx : 2 * SIZE[1] + dx] = mask
    return ground[SIZE[0] : 2 * SIZE[0], SIZE[1] : 2 * SIZE[1]]


def fits_slowly(masks, things, known, predicted, rows, worth):
    shifts = np.rint(predicted[:, :2] - known[:, :2]).astype(int)
    here = np.array([moved(mask, *shift) for mask, shift in zip(masks, shifts, strict=True)])
    shared = np.einsum("nhw,mhw->nm", here.astype(float), things.astype(float))
    inside, areas = here.sum(axis=(1, 2))[:, None], known[:, 2:3]
    hidden = np.maximum(np.minimum(shared.sum(axis=1, keepdims=True), inside) - shared, 0) + areas - inside
    visible = shared / np.maximum(areas - hidden + rows[:, 0] - shared, 1)
    boxes, deviations = predicted[:, 2:6], predicted[:, 6:]
    last = known[:, 3:7] + np.tile(predicted[:, :2] - known[:, 7:9], 2)
    overlap = np.maximum.reduce([
        shared / np.maximum(areas + rows[:, 0] - shared, 1), box_iou(boxes, rows[:, 1:5]),
        worth.unseen * visible, worth.seen_last * box_iou(last, rows[:, 1:5]),
    ])  # fmt: skip
    part = np.maximum(
        shared / np.maximum(np.minimum(areas, rows[:, 0]), 1), box_nearness(boxes, rows[:, 1:5], deviations)
    )
    near = np.maximum(
        box_iou(grown(boxes, worth.reach), grown(rows[:, 1:5], worth.reach)) if worth.reach else np.zeros_like(overlap),
        worth.emerging * part * keeping_a_side(boxes, rows[:, 1:5], deviations),
    )  # fmt: skip
    seen = areas - hidden
    near[(rows[:, 0] > worth.grown * areas) | (seen > worth.grown * rows[:, 0])] = 0
    alike = np.where(known[:, 9:] == rows[:, 5], 1.0, worth.other_class)
    return np.array([overlap * alike, near * alike, hidden / np.maximum(areas, 1), visible])


@pytest.mark.parametrize("by_columns", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_fits_are_those_of_the_formulas(seed, by_columns):
    rng = np.random.default_rng(seed)
    masks, things = masks_of(rng, 5), masks_of(rng, 7)
    worth = WORTH if seed % 2 else FitWorth(0.7, 0.9, 0.3, 0.0, 0.0, 4.0)
    tracks, others = runs_of(masks, by_columns), runs_of(things, by_columns)
    centres = rng.uniform(0, 60, (5, 2))
    boxes = np.sort(rng.uniform(0, 60, (5, 4)).reshape(5, 2, 2), axis=1).reshape(5, 4)
    known = np.column_stack((centres, tracks.measure()[0], boxes, centres + rng.normal(0, 2, (5, 2)), [0, 1, 0, 1, 2]))
    places = centres + rng.uniform(-12, 12, (5, 2))
    predicted = np.ascontiguousarray(np.column_stack((places, boxes + 3.5, rng.uniform(0.5, 9, (5, 2)))))
    areas, extents = others.measure()
    rows = np.ascontiguousarray(np.column_stack((areas, extents, [0, 1, 0, 1, 0, 1, 2])), float)
    found = fit_tracks(TrackRows(tracks, known, predicted), others, rows, SIZE, worth)
    np.testing.assert_allclose(found, fits_slowly(masks, things, known, predicted, rows, worth), rtol=1e-13, atol=1e-15)


def test_nothing_fits_nothing_and_masks_of_two_kinds_are_refused():
    none = TrackRows(MaskRuns.none(), np.zeros((0, 10)), np.zeros((0, 8)))
    assert fit_tracks(none, MaskRuns.none(), np.zeros((0, 6)), SIZE, WORTH).shape == (4, 0, 0)
    with pytest.raises(ArgumentError, match="same lines"):
        fit_tracks(none, MaskRuns.none(by_columns=True), np.zeros((0, 6)), SIZE, WORTH)
    with pytest.raises(ArgumentError, match=r"seen must be float64 with shape \(N, 6\)"):
        fit_tracks(none, MaskRuns.none(), np.zeros((0, 5)), SIZE, WORTH)
