"""What a network that makes no mistakes sees of tiles is joined to what it would see of the picture."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from segrt.runtime.preprocess.tiling import Tile, Tiling
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Segment, SemanticResult, rle
from segrt.runtime.segmenter.tiles.joined_classes import ClassesJoining
from segrt.runtime.segmenter.tiles.joined_objects import ObjectsJoining
from segrt.runtime.segmenter.tiles.joined_segments import SegmentsJoining

LABELS = (
    Label("ground", 1, False, (90, 90, 90)),
    Label("sky", 2, False, (90, 90, 200)),
    Label("person", 3, True, (200, 0, 0)),
    Label("car", 4, True, (0, 0, 200)),
)
SIZES = st.tuples(st.integers(40, 260), st.integers(40, 260))
TILINGS = st.builds(lambda size, share: Tiling.of(f"{size[0]}x{size[1]},{share}%,alone"),
                    st.tuples(st.integers(32, 150), st.integers(32, 150)), st.integers(15, 50))  # fmt: skip


def drawn(seed: int, size: tuple[int, int]) -> tuple[Any, dict[int, int]]:
    """A map of ids, 0 for none, and id → class: stuff, and things of one piece each."""
    rng = np.random.default_rng(seed)
    ids = np.ones(size, np.int32)
    ids[: size[0] // 3] = 2
    ids[:, : int(rng.integers(0, 8))] = 0
    for number in range(3, 3 + int(rng.integers(1, 9))):
        center = (int(rng.integers(size[1])), int(rng.integers(size[0])))
        axes = (int(rng.integers(3, 60)), int(rng.integers(3, 60)))
        blob = np.zeros(size, np.uint8)
        cv2.ellipse(blob, center, axes, 0, 0, 360, 1, -1)
        # Of what is behind, one piece is left: things in pieces meet themselves as two things of one tile.
        rest = np.where(blob > 0, number, ids)
        if all(cv2.connectedComponents((rest == before).astype(np.uint8))[0] <= 2 for before in range(3, number)):
            ids = rest
    classes = {1: 0, 2: 1} | {number: 2 + number % 2 for number in range(3, 12)}
    return ids, {number: classes[number] for number in np.unique(ids).tolist() if number}


def box_of(mask: Any) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(mask)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def objects(ids: Any, classes: dict[int, int]) -> InstanceResult:
    """The things of a map; the score tells which is which."""
    things = [number for number in np.unique(ids).tolist() if number > 2]
    return InstanceResult(
        np.array([box_of(ids == number) for number in things], np.float32).reshape(-1, 4),
        np.array([0.5 + number / 100 for number in things], np.float32),
        np.array([classes[number] for number in things], np.int64),
        [rle.encode(ids == number) for number in things],
        ids.shape,
        LABELS,
    )


def segments(ids: Any, classes: dict[int, int]) -> PanopticResult:
    """The segments of a map."""
    found = []
    for number in np.unique(ids).tolist():
        if number:
            x0, y0, x1, y1 = box_of(ids == number)
            area = int((ids == number).sum())
            class_id = classes[number]
            score = 0.5 + number / 100
            found.append(Segment(number, class_id, class_id > 1, score, area, (x0, y0, x1 - x0, y1 - y0)))
    return PanopticResult(np.ascontiguousarray(ids), found, LABELS)


def part(ids: Any, tile: Tile) -> Any:
    return ids[tile.rows, tile.columns]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), size=SIZES, tiling=TILINGS)
def test_objects_are_those_of_the_whole(seed: int, size: Any, tiling: Tiling) -> None:
    ids, classes = drawn(seed, size)
    joining = ObjectsJoining(size, LABELS)
    for tile in tiling.cut(size):
        joining.add(tile, objects(part(ids, tile), classes))
    joined, whole = joining.finish(), objects(ids, classes)
    order = np.argsort(-whole.scores, kind="stable")
    assert joined.scores.tolist() == whole.scores[order].tolist()
    assert joined.class_ids.tolist() == whole.class_ids[order].tolist()
    assert joined.boxes.tolist() == whole.boxes[order].tolist()
    assert joined.rles == [whole.rles[place] for place in order]
    assert joined.size == size


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), size=SIZES, tiling=TILINGS)
# A thing of which three tiles have painted parts, and one whose tip alone another tile has seen.
@example(seed=0, size=(40, 40), tiling=Tiling((32, 32), (5, 5), whole=False))
@example(seed=13_987, size=(223, 96), tiling=Tiling((32, 32), (4, 4), whole=False))
def test_segments_are_those_of_the_whole(seed: int, size: Any, tiling: Tiling) -> None:
    ids, classes = drawn(seed, size)
    joining = SegmentsJoining(size, LABELS)
    for tile in tiling.cut(size):
        joining.add(tile, segments(part(ids, tile), classes))
    joined, whole = joining.finish(), segments(ids, classes)
    assert joined.stored_ids.dtype == np.uint8
    by_score = {round(segment.score, 3): segment for segment in joined}
    assert len(by_score) == len(joined) == len(whole)
    for segment in whole:
        same = by_score[round(segment.score, 3)]
        assert (same.class_id, same.isthing, same.area, same.bbox) == (
            segment.class_id, segment.isthing, segment.area, segment.bbox,
        )  # fmt: skip
        assert ((joined.segment_ids == same.id) == (ids == segment.id)).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), size=SIZES, tiling=TILINGS)
def test_classes_are_those_of_the_whole(seed: int, size: Any, tiling: Tiling) -> None:
    classes = np.random.default_rng(seed).choice(np.array([0, 1, 2, 3, 255], np.uint8), size)
    joining = ClassesJoining(size, LABELS)
    for tile in tiling.cut(size):
        joining.add(tile, SemanticResult(np.ascontiguousarray(part(classes, tile)), LABELS))
    assert (joining.finish().class_map == classes).all()


def one_object(size: tuple[int, int], box: tuple[int, int, int, int], score: float, class_id: int = 2) -> Any:
    """A rectangle, x0, y0, x1, y1."""
    mask = np.zeros(size, bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return InstanceResult(
        np.array([box], np.float32),
        np.array([score], np.float32),
        np.array([class_id]),
        [rle.encode(mask)],
        size,
        LABELS,
    )


LEFT, RIGHT = Tiling.of("100x120,40,alone").cut((100, 200))


def joined(left: Any, right: Any, whole: Any = None) -> InstanceResult:
    joining = ObjectsJoining((100, 200), LABELS)
    if whole is not None:
        joining.add_whole(whole)
    joining.add(LEFT, left)
    joining.add(RIGHT, right)
    return joining.finish()


def test_of_two_views_of_a_whole_object_the_better_one_is_it() -> None:
    found = joined(one_object((100, 120), (85, 40, 110, 60), 0.7), one_object((100, 120), (6, 40, 31, 62), 0.9))
    assert found.boxes.tolist() == [[86, 40, 111, 62]]
    assert found.scores.tolist() == [np.float32(0.9)]
    assert found[0].area == 25 * 22


def test_a_cut_piece_of_an_object_that_the_neighbour_sees_whole_goes() -> None:
    # The right tile begins at 80 and sees the last 3 of 23 columns, and these badly: as far as both see, IoU is 1/3.
    found = joined(one_object((100, 120), (60, 40, 83, 60), 0.9), one_object((100, 120), (0, 40, 1, 60), 0.6))
    assert found.boxes.tolist() == [[60, 40, 83, 60]]


def test_of_two_pieces_of_each_other_with_one_score_the_first_stays() -> None:
    # Both are cut, each is half inside the other, and they are too far apart to be one.
    found = joined(one_object((100, 120), (80, 40, 120, 60), 0.5), one_object((100, 120), (0, 50, 40, 70), 0.5))
    assert found.boxes.tolist() == [[80, 40, 120, 60]]


def test_what_goes_as_a_piece_takes_nothing_with_it() -> None:
    # The left tile's first is mostly inside the right one's, which is mostly inside the left tile's second.
    first, second = one_object((100, 120), (80, 40, 120, 60), 0.6), one_object((100, 120), (80, 60, 120, 100), 0.8)
    found = joined(together(first, second), one_object((100, 120), (0, 50, 40, 80), 0.7))
    assert found.boxes.tolist() == [[80, 60, 120, 100], [80, 40, 120, 60]]


def together(one: Any, other: Any) -> InstanceResult:
    return InstanceResult(
        np.concatenate([one.boxes, other.boxes]), np.concatenate([one.scores, other.scores]),
        np.concatenate([one.class_ids, other.class_ids]), [*one.rles, *other.rles], one.size, LABELS,
    )  # fmt: skip


def test_two_things_of_one_tile_stay_two() -> None:
    two = one_object((100, 120), (80, 40, 110, 60), 0.9)
    other = one_object((100, 120), (80, 45, 110, 65), 0.8)
    both = together(two, other)
    assert len(joined(both, one_object((100, 120), (0, 42, 30, 62), 0.9))) == 2
    assert len(joined(both, one_object((100, 120), (0, 42, 30, 62), 0.9, class_id=3))) == 3


def test_the_whole_view_has_what_no_tile_holds_and_tiles_what_is_small() -> None:
    size = (100, 200)
    bus = one_object(size, (5, 10, 195, 90), 0.9, class_id=3)
    # Both tiles see cut pieces, and these so badly that they do not agree; they are pieces of the bus.
    found = joined(
        one_object((100, 120), (5, 10, 120, 40), 0.6, 3), one_object((100, 120), (0, 50, 115, 90), 0.6, 3), bus
    )
    assert found.boxes.tolist() == [[5, 10, 195, 90]]
    # A blob of the whole view goes where tiles tell two things apart; one that is one thing gets the tiles' edges.
    blob = one_object(size, (20, 40, 50, 60), 0.9)
    two = joined(one_object((100, 120), (20, 40, 34, 60), 0.8), one_object((100, 120), (60, 0, 70, 9), 0.7), blob)
    assert two.boxes.tolist() == [[20, 40, 50, 60], [140, 0, 150, 9]]
    one = joined(one_object((100, 120), (22, 40, 50, 60), 0.8), one_object((100, 120), (60, 0, 70, 9), 0.7), blob)
    assert one.boxes.tolist() == [[22, 40, 50, 60], [140, 0, 150, 9]]


def test_what_both_views_see_is_no_piece_of_something_else() -> None:
    size = (100, 200)
    small, large = one_object(size, (20, 40, 50, 60), 0.6), one_object(size, (34, 40, 190, 60), 0.9)
    # The tile's thing is the whole view's small one, and more than half inside the large one.
    left, right = one_object((100, 120), (22, 40, 52, 60), 0.7), one_object((100, 120), (60, 0, 69, 9), 0.5)
    found = joined(left, right, together(small, large))
    assert found.boxes.tolist() == [[34, 40, 190, 60], [22, 40, 52, 60], [140, 0, 149, 9]]


@pytest.mark.parametrize("things", [0, 400])
def test_many_things_and_none(things: int) -> None:
    """Ids beyond those of bytes; a tile of nothing."""
    size = (100, 200)
    ids = np.zeros(size, np.int32)
    for number in range(things):
        ids[number // 40 * 10 : number // 40 * 10 + 4, number % 40 * 5 : number % 40 * 5 + 3] = number + 3
    classes = dict.fromkeys(range(3, 403), 2)
    joining, joining_objects = SegmentsJoining(size, LABELS), ObjectsJoining(size, LABELS)
    for tile in (LEFT, RIGHT):
        joining.add(tile, segments(part(ids, tile), classes))
        joining_objects.add(tile, objects(part(ids, tile), classes))
    found = joining.finish()
    assert len(found) == len(joining_objects.finish()) == things
    assert found.stored_ids.dtype == (np.uint16 if things else np.uint8)
    assert ((found.segment_ids > 0) == (ids > 0)).all()
