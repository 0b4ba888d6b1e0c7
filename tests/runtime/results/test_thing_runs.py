"""The runs of a panoptic result's things: found once for a map, and never those of other things."""

import numpy as np

from segrt.runtime.draw.overlays import things_alone
from segrt.runtime.results import Label, PanopticResult, Segment
from segrt.runtime.results.thing_runs import thing_runs

LABELS = (Label("road", 0, False, (90, 90, 90)), Label("car", 1, True, (0, 0, 200)))


def result_of(ids):
    segments = [
        Segment(number, 0 if number == 2 else 1, number != 2, 0.9, int((ids == number).sum()), (0, 0, 8, 6))
        for number in (3, 2, 5)
    ]
    return PanopticResult(ids, segments, LABELS)


def painted(runs, size):
    canvas = np.zeros(size, np.int32)
    for place in range(len(runs)):
        for line, begin, end in runs.one(place).runs.tolist():
            canvas[line, begin:end] = place + 1
    return canvas


def test_runs_are_those_of_the_things_in_their_order_and_are_kept_with_their_map():
    ids = np.random.default_rng(0).choice(np.array([0, 2, 3, 5], np.int32), (6, 8))
    result = result_of(ids)
    places, runs = thing_runs(result)
    assert places == [0, 2]
    np.testing.assert_array_equal(painted(runs, ids.shape), np.select([ids == 3, ids == 5], [1, 2]))
    tracked = result.with_tracks([7, None, 8])
    assert thing_runs(tracked)[1] is runs
    alone_places, alone = thing_runs(things_alone(tracked))
    assert alone_places == [0, 1]
    assert alone is runs


def test_results_with_other_things_or_maps_find_their_own():
    ids = np.random.default_rng(1).choice(np.array([0, 2, 3, 5], np.int32), (6, 8))
    result = result_of(ids)
    thing_runs(result)
    fewer = result.filter(score_threshold=0.9)
    fewer.segments.pop()
    places, runs = thing_runs(fewer)
    assert places == [0]
    np.testing.assert_array_equal(painted(runs, ids.shape), ids == 3)
    np.testing.assert_array_equal(
        painted(thing_runs(result_of(np.ascontiguousarray(ids[:, ::-1])))[1], ids.shape),
        np.select([ids == 3, ids == 5], [1, 2])[:, ::-1],
    )
