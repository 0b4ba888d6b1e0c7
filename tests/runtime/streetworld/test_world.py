"""The street world: the same seed gives the same street, truth fits the picture, things keep their ids."""

import numpy as np
import pytest

from segrt.runtime.errors import SegrtError
from segrt.runtime.streetworld import CLASSES, STUFF, StreetWorld, street_labels
from segrt.runtime.streetworld.moments import Clip, drawn_time, scattered
from segrt.runtime.streetworld.weather import CONDITIONS

SIZE = (96, 160)


def test_a_moment_is_a_function_of_seed_time_and_size_alone() -> None:
    world = StreetWorld(11)
    world.render(9.0, SIZE)  # what was rendered before must not matter
    first, again, other = world.render(2.0, SIZE), StreetWorld(11).render(2.0, SIZE), StreetWorld(12).render(2.0, SIZE)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.segment_ids, again.segment_ids)
    assert first.segments == again.segments
    assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize("size", [(32, 32), (97, 161), (360, 640)])
def test_truth_names_every_id_with_its_area(size: tuple[int, int]) -> None:
    for seed in range(8):
        view = StreetWorld(seed).render(drawn_time(seed), size)
        assert view.image.shape == (*size, 3)
        assert view.image.dtype == np.uint8
        assert view.segment_ids.dtype == np.int32
        ids, areas = np.unique(view.segment_ids, return_counts=True)
        assert dict(zip(ids.tolist(), areas.tolist(), strict=True)) == {item.id: item.area for item in view.segments}
        assert len({item.id for item in view.segments}) == len(view.segments)


def test_only_things_below_16_pixels_are_crowd() -> None:
    seen = 0
    for seed in range(60):
        for segment in StreetWorld(seed).render(0.0, SIZE).segments:
            small_thing = segment.class_id >= len(STUFF) and segment.area < 16
            assert segment.iscrowd == small_thing
            seen += segment.iscrowd
    assert seen > 0


def test_things_keep_their_ids_and_move() -> None:
    views = list(Clip(seed=3, frames=10, size=(180, 320), fps=25.0))
    common = set.intersection(*({item.id for item in view.segments if item.class_id >= len(STUFF)} for view in views))
    assert len(common) >= 5
    classes = [{item.id: item.class_id for item in view.segments} for view in views]
    moved = 0
    for thing in common:
        assert len({table[thing] for table in classes}) == 1
        first, last = (np.argwhere(view.segment_ids == thing).mean(axis=0) for view in (views[0], views[-1]))
        moved += bool(np.abs(last - first).max() > 2.0)
        steps = [np.argwhere(view.segment_ids == thing).mean(axis=0) for view in views]
        assert np.abs(np.diff(steps, axis=0)).max() < 40.0, "a thing jumped"
    assert moved >= 2


def test_all_classes_and_all_weathers_occur() -> None:
    seen: set[int] = set()
    for view in scattered(0, 40, SIZE):
        seen |= {segment.class_id for segment in view.segments}
    assert seen == set(range(len(CLASSES)))
    assert {StreetWorld(seed).weather.condition for seed in range(60)} == set(CONDITIONS)


def test_the_picture_shows_what_the_truth_says() -> None:
    """Sky is bluish or grey and bright, road is grey: colours under the truth's masks differ as they should."""
    view = StreetWorld(4, weather="clear").render(0.0, SIZE)
    mean = {
        CLASSES[item.class_id]: view.image[view.segment_ids == item.id].mean(axis=0)
        for item in view.segments
        if item.class_id < len(STUFF)
    }
    assert mean["sky"].mean() > mean["road"].mean() + 40
    assert np.ptp(mean["road"]) < 40  # grey
    assert mean["grass"][1] == mean["grass"].max()  # green


def test_wrong_arguments_are_refused_by_name() -> None:
    with pytest.raises(SegrtError, match="seed must be 0 or more, but got -1"):
        StreetWorld(-1)
    with pytest.raises(SegrtError, match=r"weather must be one of clear, .*'sunny'"):
        StreetWorld(0, weather="sunny")
    with pytest.raises(SegrtError, match="height and width must be at least 32, but got 16 and 160"):
        StreetWorld(0).render(0.0, (16, 160))


def test_labels_have_distinct_names_ids_and_colours() -> None:
    labels = street_labels()
    assert [label.name for label in labels] == list(CLASSES)
    assert len({label.dataset_id for label in labels}) == len({label.color for label in labels}) == len(CLASSES)
    assert [label.isthing for label in labels] == [False] * 5 + [True] * 6
