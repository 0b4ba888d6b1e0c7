"""Tracked results made by hand."""

import numpy as np

from segrt.runtime.results import InstanceResult, Label, PanopticResult, Segment, rle

LABELS = (
    Label("person", 0, True, (220, 20, 60)),
    Label("car", 1, True, (0, 0, 142)),
    Label("road", 2, False, (128, 64, 128)),
)


def panoptic(size, things):
    """Return a result with `things`: (track id or None, class id, (left, top, right, bottom) in pixels)."""
    ids, segments = np.zeros(size, np.int32), []
    for number, (track, kind, (left, top, right, bottom)) in enumerate(things, 1):
        ids[top:bottom, left:right] = number
        box = (left, top, right - left, bottom - top)
        segments.append(Segment(number, kind, LABELS[kind].isthing, 0.9, 0, box, track_id=track))
    segments = [
        Segment(one.id, one.class_id, one.isthing, 0.9, int((ids == one.id).sum()), one.bbox, track_id=one.track_id)
        for one in segments
    ]
    return PanopticResult(ids, segments, LABELS)


def instances(size, things):
    """Return the same things as instances."""
    masks = np.zeros((len(things), *size), bool)
    for mask, (_, _, (left, top, right, bottom)) in zip(masks, things, strict=True):
        mask[top:bottom, left:right] = True
    tracks = [-1 if track is None else track for track, _, _ in things]
    return InstanceResult(
        boxes=np.array([box for _, _, box in things], np.float32).reshape(-1, 4),
        scores=np.full(len(things), 0.9, np.float32),
        class_ids=np.array([kind for _, kind, _ in things], np.int64),
        rles=[rle.encode(mask) for mask in masks],
        size=size,
        labels=LABELS,
        track_ids=np.array(tracks, np.int64) if any(track >= 0 for track in tracks) else None,
    )
