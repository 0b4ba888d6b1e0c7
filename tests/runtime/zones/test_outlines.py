"""Where zones are named in a picture."""

import numpy as np
from tracked_things import LABELS, panoptic

from segrt.runtime.draw import overlay
from segrt.runtime.zones.outlines import draw_zones, labels_of
from segrt.runtime.zones.shapes import Line, Zone, ZonePlan

SIZE = (240, 320)
NAMES = tuple(label.name for label in LABELS)


def meet(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_labels_do_not_lie_on_each_other_nor_outside():
    corner = ((0.0, 0.0), (0.3, 0.0), (0.3, 0.3))
    zones = tuple(Zone(f"zone {number}", polygon=corner) for number in range(4))
    boxes = [label.box for label in labels_of(SIZE, ZonePlan(zones, (), NAMES), {})]
    assert not any(meet(one, other) for at, one in enumerate(boxes) for other in boxes[:at])
    assert all(left >= 0 and top >= 0 and right <= 320 and bottom <= 240 for left, top, right, bottom in boxes)


def test_captions_leave_the_labels_of_zones_free():
    plan = ZonePlan((), (Line("gate", start=(0.1, 0.5), end=(0.9, 0.5)),), NAMES)
    image, result = np.full((*SIZE, 3), 60, np.uint8), panoptic(SIZE, [(7, 1, (90, 60, 230, 200))])
    (label,) = labels_of(SIZE, plan, {})
    left, top, right, bottom = label.box
    plain = overlay(image, result, captions=False)[top:bottom, left:right]
    assert (overlay(image, result)[top:bottom, left:right] != plain).any(), "the caption would stand there"
    drawn = overlay(image, result, reserved=[label.box])
    assert (drawn[top:bottom, left:right] == plain).all()
    assert (drawn != overlay(image, result, captions=False)).any(), "it stands elsewhere"
    assert (draw_zones(drawn, plan, {})[top:bottom, left:right] != plain).any()
