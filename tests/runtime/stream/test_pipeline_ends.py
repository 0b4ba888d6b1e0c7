"""Every end of a pipeline is an end: of sources, on failures, on interruptions and when the loop is left."""

import signal
import threading
import time

import pytest
from pipeline_runs import all_slots_are_free, draw, run

from segrt.runtime.errors import SegrtError
from segrt.runtime.stream import run_stream, stream
from segrt.runtime.stream.pipeline import Pipeline

pytestmark = pytest.mark.timeout(30)
FAILURES = {
    "source": (3, lambda s: None, {}),  # noqa: ARG005
    "preprocess": (5, lambda s: setattr(s, "fail_preprocess_at", 5), {}),
    "inference": (5, lambda s: setattr(s.backend, "fail_at", 5), {}),
    "postprocess": (5, lambda s: setattr(s, "fail_postprocess_at", 5), {}),
    "draw": (5, lambda s: None, {}),  # noqa: ARG005
}


@pytest.mark.parametrize("stage", FAILURES)
@pytest.mark.parametrize("count", [8, 500])
def test_a_failure_ends_the_run_after_writing_all_frames_before_it(segmenter, fakes, stage, count):
    before, prepare, _ = FAILURES[stage]
    prepare(segmenter)

    def failing_draw(image, result):
        if stage == "draw" and int(result.class_map[0, 0]) == 5:
            raise fakes.Boom("draw")
        return image

    source = fakes.ListSource(count, fail_after=3 if stage == "source" else None)
    sinks = [fakes.ListSink("a", drawing=True), fakes.ListSink("b")]
    with pytest.raises(fakes.Boom, match=stage):
        run_stream(segmenter, source, sinks, draw=failing_draw)
    for sink in sinks:
        assert [index for _, index, *_ in sink.items] == list(range(before))
        assert sink.closes == 1
    assert source.closed
    all_slots_are_free(segmenter)


@pytest.mark.parametrize("stage", ["source", "preprocess", "inference", "postprocess"])
def test_a_failure_reaches_the_loop_after_all_results_before_it(segmenter, fakes, stage):
    before, prepare, _ = FAILURES[stage]
    prepare(segmenter)
    seen = []
    with pytest.raises(fakes.Boom, match=stage):  # noqa: PT012
        for frame, _ in stream(segmenter, fakes.ListSource(500, fail_after=3 if stage == "source" else None)):
            seen.append(frame.index)
    assert seen == list(range(before))
    all_slots_are_free(segmenter)


@pytest.mark.parametrize("where", [{"fail_at": 0}, {"fail_at": 5}, {"fail_open": True}, {"fail_close": True}])
@pytest.mark.parametrize("count", [7, 500])
def test_a_failing_sink_ends_the_run_and_the_others_close_their_files(segmenter, fakes, where, count):
    good, bad, drawn = fakes.ListSink("good"), fakes.ListSink("bad", **where), fakes.ListSink("drawn", drawing=True)
    source = fakes.ListSource(count)
    with pytest.raises(fakes.Boom, match="sink"):
        run_stream(segmenter, source, [good, bad, drawn], draw=draw)
    assert [sink.closes for sink in (good, bad, drawn)] == [1, 1, 1]
    indices = [index for _, index, *_ in good.items]
    assert indices == list(range(len(indices)))
    assert len(indices) >= min(where.get("fail_at", 0), count)
    assert source.closed
    all_slots_are_free(segmenter)


def test_a_failing_source_ends_the_others_too(segmenter, fakes):
    """One of them may be endless."""
    sources = [
        fakes.ListSource(10_000, source_id="endless", seconds=0.001),
        fakes.ListSource(10, source_id="broken", fail_after=4),
    ]
    sink = fakes.ListSink()
    with pytest.raises(fakes.Boom, match="source"):
        run_stream(segmenter, sources, [sink])
    for name in ("endless", "broken"):
        indices = [index for source, index, *_ in sink.items if source == name]
        assert indices == list(range(len(indices)))
    assert sum(source == "broken" for source, *_ in sink.items) == 4
    assert all(source.closed for source in sources)


def test_a_failure_does_not_wait_for_the_next_frame(segmenter, fakes):
    """The source's second frame comes in an hour; the failure on the first is reported now."""
    released = threading.Event()

    class Slow(fakes.ListSource):
        def frames(self):
            yield from list(super().frames())[:1]
            released.wait(10)

    segmenter.fail_postprocess_at = 0
    start = time.monotonic()
    pipeline = Pipeline(segmenter, [Slow()], [fakes.ListSink()])
    pipeline.start()
    while pipeline.running(0.05) and time.monotonic() - start < 5:
        pass
    assert not pipeline.running()
    released.set()
    with pytest.raises(fakes.Boom, match="postprocess"):
        pipeline.join()


def test_leaving_the_loop_ends_all_threads(segmenter, fakes):
    source = fakes.ListSource(10_000)
    for frame, _ in stream(segmenter, source):
        if frame.index == 4:
            break
    assert fakes.stage_threads() == []
    assert source.closed
    all_slots_are_free(segmenter)


def test_an_exception_in_the_loop_passes_and_ends_all_threads(segmenter, fakes):
    with pytest.raises(fakes.Boom, match="consumer"):  # noqa: PT012
        for frame, _ in stream(segmenter, fakes.ListSource(10_000)):
            if frame.index == 4:
                raise fakes.Boom("consumer")
    all_slots_are_free(segmenter)


@pytest.mark.parametrize("seconds", [0.0, 0.02])
@pytest.mark.parametrize("after", range(0, 12, 3))
def test_leaving_at_any_moment_gives_all_slots_back(fakes, seconds, after):
    with fakes.FakeSegmenter(seconds=seconds) as segmenter:
        results = stream(segmenter, fakes.ListSource(10_000))
        for _ in range(after):
            next(results)
        results.close()
        all_slots_are_free(segmenter)


def test_an_iterator_that_was_never_started_leaves_nothing_behind(segmenter, fakes):
    results = stream(segmenter, fakes.ListSource(10))
    del results
    assert fakes.stage_threads() == []


def test_closing_the_segmenter_in_mid_stream_is_an_error_not_a_hang(fakes):
    segmenter = fakes.FakeSegmenter()
    results = stream(segmenter, fakes.ListSource(10_000))
    next(results)
    segmenter.close()
    with pytest.raises(SegrtError, match="closed"):
        list(results)


def test_an_interruption_writes_what_is_in_the_network_and_closes_files(fakes):
    with fakes.FakeSegmenter(seconds=0.02) as segmenter:
        sink = fakes.ListSink()

        def progress(count):
            if count >= 3:
                raise KeyboardInterrupt

        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            run_stream(segmenter, fakes.ListSource(10_000), [sink], progress=progress)
        assert time.monotonic() - start < 10
        assert sink.closes == 1
        assert [index for _, index, *_ in sink.items] == list(range(len(sink.items)))
        assert len(sink.items) >= 3
        all_slots_are_free(segmenter)


def test_an_empty_source_is_an_empty_run(segmenter, fakes):
    sink = fakes.ListSink()
    metrics = run(segmenter, fakes, [sink], count=0)
    assert metrics.frames_out == 0
    assert metrics.frame_age_ms.p50 is None
    assert sink.closes == 1


def test_an_interruption_waits_for_a_sink_that_is_closing_its_file(segmenter, fakes):
    """The sink is the only stage left, so that the interruption comes while it is waited for."""

    class Slow(fakes.ListSink):
        def close(self):
            main = threading.main_thread().ident
            threading.Timer(0.3, signal.pthread_kill, [main, signal.SIGINT]).start()
            time.sleep(0.8)
            super().close()

    sink = Slow()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            Pipeline(segmenter, [fakes.ListSource(3)], [sink]).run()
    finally:
        signal.signal(signal.SIGINT, before)
    assert sink.closes == 1
