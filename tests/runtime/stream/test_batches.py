"""Several sources in one batch: each frame keeps its own result, sources stay fair, slots come back."""

import numpy as np
import pytest

from segrt.runtime import open_bundle
from segrt.runtime.stream import run_stream, stream

pytestmark = pytest.mark.timeout(30)


def sources(fakes, counts, **options):
    return [fakes.ListSource(count, source_id=f"s{number}", **options) for number, count in enumerate(counts)]


@pytest.mark.parametrize("deliver", [True, False])
def test_every_frame_of_every_source_comes_with_its_own_result_in_order(fakes, deliver):
    with fakes.FakeSegmenter(batch=3, seconds=0.001) as segmenter:
        given = sources(fakes, [40, 25, 31])
        if deliver:
            items = [(f.source_id, f.index, int(r.class_map[0, 0])) for f, r in stream(segmenter, given)]
        else:
            sink = fakes.ListSink()
            metrics = run_stream(segmenter, given, [sink])
            items = [item[:3] for item in sink.items]
            assert metrics.frames_out == 96
        for number, count in enumerate([40, 25, 31]):
            own = [(index, value) for source, index, value in items if source == f"s{number}"]
            assert own == [(index, index) for index in range(count)]
        full = [batch for batch in segmenter.backend.batches if len(batch) == 3]
        assert len(full) > 15, "frames that are there go together"
        assert sum(set(batch) == {"s0", "s1", "s2"} for batch in full) > 10, "one of each source"
        slots = [segmenter.backend.acquire(timeout=5) for _ in range(2)]
        assert len(slots) == 2


def test_the_newest_frame_of_each_source_is_taken_when_the_network_is_slow(fakes):
    with fakes.FakeSegmenter(batch=2, seconds=0.05) as segmenter:
        sink = fakes.ListSink()
        metrics = run_stream(segmenter, sources(fakes, [100, 100], seconds=0.005, live=True), [sink])
        assert metrics.dropped > 100
        by_source = {s: [index for source, index, *_ in sink.items if source == s] for s in ("s0", "s1")}
        assert abs(len(by_source["s0"]) - len(by_source["s1"])) <= 2
        for indices in by_source.values():
            assert indices == sorted(set(indices))
        assert sum(len(set(batch)) == 2 for batch in segmenter.backend.batches) >= len(segmenter.backend.batches) // 2


def test_max_frames_counts_frames_not_batches(fakes):
    with fakes.FakeSegmenter(batch=4) as segmenter:
        assert run_stream(segmenter, fakes.ListSource(30), [], max_frames=10).frames_out == 10


def test_nan_is_counted_for_the_frame_that_has_it(fakes):
    with fakes.FakeSegmenter(batch=2) as segmenter:
        segmenter.backend.poison = np.array([[0.0], [np.nan]], np.float32)
        flags = [result.nonfinite_heads for _, result in stream(segmenter, fakes.ListSource(6))]
        assert sum(flags) == sum(len(batch) == 2 for batch in segmenter.backend.batches) > 0


def test_an_error_in_a_batch_ends_the_run_behind_the_results_before_it(fakes):
    with fakes.FakeSegmenter(batch=2) as segmenter:
        segmenter.fail_postprocess_at = 5
        results = stream(segmenter, fakes.ListSource(20))
        assert [next(results)[0].index for _ in range(5)] == [0, 1, 2, 3, 4]
        with pytest.raises(fakes.Boom, match="postprocess"):
            next(results)
        assert fakes.stage_threads() == []


def test_a_network_of_fixed_batch_takes_one_frame_at_a_time() -> None:
    with open_bundle("street-panoptic", threads=1, batch=None, sources=3) as segmenter:
        assert segmenter.backend.batch == 1
