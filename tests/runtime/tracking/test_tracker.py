"""A tracker keeps the id of each thing, through crossings, occlusions and weak frames; it ends tracks where it says."""

import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from moving_boxes import CAR, LABELS, PERSON, SIZE, Box, ids_of, instances, panoptic

from segrt.runtime.errors import SegrtError
from segrt.runtime.results import InstanceResult, PanopticResult, SemanticResult
from segrt.runtime.tracking import ClassOptions, Tracker, TrackerOptions

Make = Callable[..., InstanceResult | PanopticResult]
both = pytest.mark.parametrize("make", [instances, panoptic])


def tracked(tracker: Tracker, result: Any, pts: float | None = None, image: Any = None) -> Any:
    return ids_of(tracker.update(result, pts, image))


@both
def test_things_that_cross_keep_their_ids(make: Make) -> None:
    tracker = Tracker()
    for step in range(40):
        ids = tracked(tracker, make(Box(4 * step, 10), Box(160 - 4 * step, 14, height=24)), step / 25)
        assert ids in ([1, 2], [2])
    assert len(tracker.tracks) == 2


@both
@pytest.mark.parametrize("hidden", [1, 10, 40])
def test_a_thing_that_was_hidden_comes_back_as_itself_within_the_time_that_is_stated(make: Make, hidden: int) -> None:
    tracker = Tracker(TrackerOptions(lost_seconds=1.0))
    first: Any = None
    for step in range(15):
        first = tracked(tracker, make(Box(2 * step)), step / 25)
    for step in range(15, 15 + hidden):
        assert tracked(tracker, make(), step / 25) == []
        assert [track.state for track in tracker.tracks] == (["lost"] if step - 14 <= 25 else [])
    step = 15 + hidden
    again = tracked(tracker, make(Box(2 * step)), step / 25)
    assert (again == first) == (hidden < 25)
    assert again[0] is not None


def test_a_thing_behind_another_is_known_by_the_part_that_shows() -> None:
    """A person walks behind a car that stands: first a part is hidden, then all, then it shows on the other side."""
    tracker = Tracker()
    for step in range(60):
        person, car = Box(2 * step, 5, 10, 40, PERSON), Box(40, 15, 50, 35)
        result = tracker.update(panoptic(person, car), step / 25)
        for item in result:
            assert item.track_id == {"person": 1, "car": 2, "road": 3}[item.name], step


@both
def test_what_comes_in_around_a_thing_on_all_sides_is_another(make: Make) -> None:
    """A car far away, in full view, and then one close by that covers it and more of the picture on each side."""
    tracker = Tracker()
    for step in range(20):
        assert tracked(tracker, make(Box(90)), step / 25) == [1]
    assert tracked(tracker, make(Box(30, 2, 150, 55)), 20 / 25)[0] not in (None, 1)


@both
def test_what_shows_next_to_nothing_of_a_thing_in_full_view_is_another(make: Make) -> None:
    tracker = Tracker()
    for step in range(20):
        assert tracked(tracker, make(Box(90, 2, 80, 55)), step / 25) == [1]
    assert tracked(tracker, make(Box(90, 2, 8, 8)), 20 / 25)[0] not in (None, 1)


@both
def test_weak_things_continue_tracks_and_begin_none(make: Make) -> None:
    tracker = Tracker(TrackerOptions(strong_score=0.6, weak_score=0.2, birth_score=0.7))
    born = tracked(tracker, make(Box(10, score=0.9), Box(100, score=0.65), Box(150, score=0.3)))
    assert born[0] is not None
    assert born[1:] == [None, None], "a strong thing may still be too weak for a birth"
    for score in (0.3, 0.25, 0.9):
        assert tracked(tracker, make(Box(10, score=score)))[0] == born[0]
    assert tracked(tracker, make(Box(10, score=0.1))) == [None]
    assert [track.state for track in tracker.tracks] == ["lost"]


def test_a_track_of_another_class_is_taken_only_where_that_is_asked_for() -> None:
    for across, expected in ((False, [2]), (True, [1])):
        tracker = Tracker(TrackerOptions(across_classes=across))
        assert tracked(tracker, instances(Box(10))) == [1]
        assert tracked(tracker, instances(Box(11, class_id=PERSON))) == expected
        assert tracker.tracks[-1].name == "person"


def test_classes_may_have_limits_of_their_own() -> None:
    own = {"person": ClassOptions(birth_score=0.3, strong_score=0.3, confirm_frames=2, lost_seconds=0.05)}
    tracker = Tracker(TrackerOptions(per_class=own))
    weak = (Box(10, score=0.4), Box(100, score=0.4, class_id=PERSON))
    assert tracked(tracker, instances(*weak)) == [None, None]
    assert tracked(tracker, instances(*weak)) == [None, 1]
    for _ in range(3):
        tracker.update(instances())
    assert tracked(tracker, instances(*weak)) == [None, None], "lost for longer than 0.05 s"


def test_a_birth_counts_when_it_was_seen_in_frames_in_a_row() -> None:
    tracker = Tracker(TrackerOptions(confirm_frames=3))
    for boxes, expected in (([Box(10)], None), ([], None), ([Box(10)], None), ([Box(11)], None), ([Box(12)], 1)):
        assert tracked(tracker, instances(*boxes)) == [expected] * len(boxes)
    (track,) = tracker.tracks
    assert (track.track_id, track.seen, track.age, track.name, track.state) == (1, 3, 3, "car", "tracked")
    assert track.born == pytest.approx(2 / 25)
    assert track.box == (12, 20, 32, 40)
    assert track.path == (
        pytest.approx((0.08, 20, 30)),
        pytest.approx((0.12, 21, 30)),
        pytest.approx((0.16, 22, 30)),
    )


def test_paths_are_bounded() -> None:
    tracker = Tracker(TrackerOptions(path_points=5))
    for step in range(20):
        tracker.update(instances(Box(step)), float(step))
    assert [point[0] for point in tracker.tracks[0].path] == [15, 16, 17, 18, 19]


def test_stuff_keeps_one_id_a_class_and_no_id_is_used_twice() -> None:
    tracker = Tracker()
    for clip, expected in enumerate(([3, 1, 2], [3, 4, 5], [3, 6, 7])):
        result = tracker.update(panoptic(Box(10), Box(60)), float(clip))
        assert [item.track_id for item in result] == expected
        tracker.reset()
        assert tracker.tracks == []


def test_what_does_not_follow_ends_all_tracks() -> None:
    rng = np.random.default_rng(0)
    here, there = (np.full((*SIZE, 3), color, np.uint8) for color in ((200, 30, 30), (20, 200, 120)))
    noisy = np.clip(here + rng.integers(-9, 9, here.shape), 0, 255).astype(np.uint8)
    tracker = Tracker()
    assert tracked(tracker, instances(Box(10)), 5.0, here) == [1]
    assert tracked(tracker, instances(Box(10)), 5.1, noisy) == [1]
    assert tracked(tracker, instances(Box(10)), 5.2, there) == [2], "a cut"
    assert tracked(tracker, instances(Box(10)), 4.9, there) == [3], "time went back"
    assert tracked(tracker, instances(Box(10)), 4.9, there) == [3], "time stood still"
    assert tracked(tracker, instances(Box(10), size=(60, 220)), 5.0) == [4], "another size"
    assert tracked(tracker, panoptic(Box(10), size=(60, 220)), 5.1) == [5], "another technique"
    assert tracked(tracker, panoptic(Box(10), size=(60, 220)), 5.2) == [5]
    assert tracked(tracker, panoptic(Box(10), size=(60, 220)), 9.9) == [7], "a gap of more than lost_seconds"
    plain = Tracker(TrackerOptions(cuts=False))
    assert [tracked(plain, instances(Box(10)), None, image) for image in (here, there)] == [[1], [1]]


def test_slow_frames_are_no_gap() -> None:
    tracker = Tracker(TrackerOptions(lost_seconds=0.5))
    assert [tracked(tracker, instances(Box(10 + step)), 3.0 * step) for step in range(4)] == [[1]] * 4


def test_speed_counts_in_seconds_not_in_frames() -> None:
    """50 pixels a second, first at 10 frames a second, then at 2: nothing overlaps any more, all is where it should."""
    tracker = Tracker(TrackerOptions(reach=0.0))
    times = [*np.arange(0, 1, 0.1), *np.arange(1.0, 3.0, 0.5)]
    assert {tuple(tracked(tracker, instances(Box(round(50 * time))), float(time))) for time in times} == {(1,)}


def test_what_is_empty_or_void_is_no_trouble() -> None:
    tracker = Tracker()
    assert tracked(tracker, instances()) == []
    empty = instances(Box(10, width=0), Box(50))
    assert empty[0].area == 0
    for _ in range(2):
        assert tracked(tracker, empty) == [None, 1], "no pixel, no track"
    void = panoptic(Box(10))
    nothing = PanopticResult(np.zeros_like(void.segment_ids), [], LABELS)
    assert len(tracker.update(nothing)) == 0


def frames(count: int, seed: int) -> list[Any]:
    """Some cars and people that walk to and fro, some of them hidden at times, of any score."""
    rng = random.Random(seed)
    things = [
        (rng.randrange(150), rng.randrange(5, 30), rng.uniform(-3, 3), rng.choice((CAR, PERSON))) for _ in range(6)
    ]
    made = []
    for step in range(count):
        shown = [item for item in things if rng.random() < 0.9]
        boxes = [Box(int(x + v * step) % 180, y, 14, 18, kind, round(rng.random(), 2)) for x, y, v, kind in shown]
        made.append(panoptic(*boxes))
    return made


def test_a_tracker_that_was_pickled_goes_on_as_one_that_was_not() -> None:
    options = TrackerOptions(appearance=0.4, camera_motion=True, confirm_frames=2)
    rng = np.random.default_rng(3)
    pictures = rng.integers(0, 255, (30, *SIZE, 3)).astype(np.uint8) // 16 + 100
    whole, halved, again = Tracker(options), Tracker(options), Tracker(options)
    for step, result in enumerate(frames(30, seed=2)):
        if step == 15:
            halved = pickle.loads(pickle.dumps(halved))
        ids = [tracked(tracker, result, step / 10, pictures[step]) for tracker in (whole, halved, again)]
        assert ids[0] == ids[1] == ids[2]
    assert whole.tracks == halved.tracks
    assert len(whole.tracks) > 3


def test_memory_is_that_of_the_tracks_that_live() -> None:
    tracker = Tracker(TrackerOptions(lost_seconds=0.2))
    sizes = []
    for step, result in enumerate(frames(600, seed=4)):
        tracker.update(result)
        if step % 200 == 199:
            sizes.append(len(pickle.dumps(tracker)))
    assert max(sizes) < 1.3 * min(sizes)


def test_colours_tell_apart_what_boxes_do_not() -> None:
    """Two things change places while nobody looks: only their colours say who is who."""
    red, blue = (200, 30, 30), (30, 30, 200)

    def picture(left: Any, right: Any) -> Any:
        image = np.full((*SIZE, 3), 90, np.uint8)
        image[20:40, 50:70], image[20:40, 72:92] = left, right
        return image

    for appearance, expected in ((0.0, [1, 2]), (0.9, [2, 1])):
        tracker = Tracker(TrackerOptions(appearance=appearance, cuts=False))
        for step in range(3):
            tracker.update(instances(Box(50), Box(72)), step / 5, picture(red, blue))
        assert tracked(tracker, instances(Box(50), Box(72)), 1.5, picture(blue, red)) == expected


def test_the_cameras_own_motion_is_taken_out() -> None:
    """The camera jerks by 30 pixels, more than things overlap or reach; what stands in the scene is found again."""
    rng = np.random.default_rng(1)
    scene = np.kron(rng.integers(0, 255, (30, 80, 1)), np.ones((8, 8, 3))).astype(np.uint8)
    for camera, expected in ((False, 2), (True, 1)):
        tracker = Tracker(TrackerOptions(camera_motion=camera, reach=0.0, cuts=False))
        for step in range(4):
            offset = 30 if step == 3 else 0
            result = instances(Box(200 - offset, 60), size=(200, 400))
            ids = tracked(tracker, result, step / 25, np.ascontiguousarray(scene[:200, offset : offset + 400]))
        assert ids == [expected]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strong_score": 1.5}, r"strong_score must be a number from 0 to 1, but got 1\.5"),
        ({"weak_score": 0.9}, r"weak_score must be at most strong_score, 0\.5, but got 0\.9"),
        ({"lost_seconds": float("nan")}, "lost_seconds must be a number from 0 to 3600, but got nan"),
        ({"confirm_frames": 0}, "confirm_frames must be a whole number from 1 to 1000, but got 0"),
        ({"per_class": {"car": ClassOptions(weak_score=0.9)}}, r"per_class\['car'\]: weak_score must be at most"),
        ({"per_class": {"car": 3}}, r"per_class\['car'\] must be ClassOptions, but got int"),
    ],
)
def test_parameters_are_checked_where_they_are_given(options: Any, message: str) -> None:
    with pytest.raises(SegrtError, match=message):
        TrackerOptions(**options)


def test_what_cannot_be_followed_is_refused_in_one_line() -> None:
    semantic: Any = SemanticResult(np.zeros(SIZE, np.uint8), LABELS)
    with pytest.raises(SegrtError, match=r"a semantic result has classes and no objects .* take an instance or"):
        Tracker().update(semantic)
    with pytest.raises(SegrtError, match="pts must be seconds"):
        Tracker().update(instances(), float("nan"))
    with pytest.raises(SegrtError, match=r"there is no class 'carr'.*'car'"):
        Tracker(TrackerOptions(per_class={"carr": ClassOptions()})).update(instances())
    with pytest.raises(SegrtError, match=r"need the result's picture, uint8 BGR \(60, 200, 3\), but got none"):
        Tracker(TrackerOptions(appearance=0.5)).update(instances())
    with pytest.raises(SegrtError, match=r"but got float64 \(60, 200, 3\)"):
        Tracker(TrackerOptions(camera_motion=True)).update(instances(), None, np.zeros((*SIZE, 3)))


def test_without_scipy_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scipy.optimize", None)
    with pytest.raises(SegrtError, match=r"^tracking needs SciPy; `pip install 'segrt\[track\]'`$"):
        Tracker()


def test_what_fills_the_picture_at_once_is_no_cut_where_things_stay() -> None:
    rng = np.random.default_rng(0)
    street = rng.integers(0, 60, (*SIZE, 3)).astype(np.uint8)
    bus = street.copy()
    bus[:, 30:] = 250  # leaves less than a fifth of the pixels
    cars = [Box(2, y=20 * row, height=18) for row in range(3)]
    tracker = Tracker()
    ids = tracked(tracker, panoptic(*cars, Box(120)), 0.0, street)
    assert (
        tracked(tracker, panoptic(*cars, Box(70, y=0, width=130, height=60, class_id=PERSON)), 0.1, bus)[:3] == ids[:3]
    )
    other = [Box(45, y=20 * row, height=18) for row in range(3)]
    assert min(tracked(tracker, panoptic(*other), 0.2, street)) > 5, "all else is a cut"


@pytest.mark.parametrize(("left", "is_cut"), [(30, True), (60, False)])
def test_what_leaves_a_fifth_of_the_pixels_as_they_were_is_no_cut(left: int, is_cut: bool) -> None:
    street = np.random.default_rng(0).integers(0, 60, (*SIZE, 3)).astype(np.uint8)
    bus = street.copy()
    bus[:, left:] = 250
    tracker = Tracker()
    (first,) = tracked(tracker, panoptic(Box(2)), 0.0, street)
    (again,) = tracked(tracker, panoptic(Box(2)), 0.1, bus)
    assert (again != first) == is_cut


def test_what_comes_in_where_another_thing_has_left_is_new() -> None:
    tracker = Tracker()
    stays = Box(2, y=0, height=10)
    for step in range(24):
        ids = tracked(tracker, panoptic(stays, Box(150 + 2 * step)), step / 10)
    for step in range(24, 28):
        tracked(tracker, panoptic(stays), step / 10)
    came = tracked(tracker, panoptic(stays, Box(194)), 2.8)
    assert (came[0], came[1] > ids[1]) == (ids[0], True)


def test_what_was_a_speck_is_not_what_fills_the_picture() -> None:
    tracker = Tracker()
    stays = Box(2, y=0, height=10, class_id=PERSON)
    for step in range(4):
        ids = tracked(tracker, panoptic(stays, Box(100, y=30, width=10, height=10)), step / 10)
    came = tracked(tracker, panoptic(stays, Box(23, y=0, width=177, height=60)), 0.4)
    assert (came[0], came[1] > ids[1]) == (ids[0], True)


def test_what_stops_while_it_is_hidden_is_found_again() -> None:
    tracker = Tracker()
    for step in range(20):
        tracked(tracker, panoptic(Box(2 * step, width=10)), step / 10)
    for step in range(20, 32):
        tracked(tracker, panoptic(), step / 10)
    assert tracked(tracker, panoptic(Box(40, width=10)), 3.2) == [1]
