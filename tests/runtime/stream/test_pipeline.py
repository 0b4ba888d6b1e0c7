"""The pipeline: frames and results stay together and in order, and stages overlap."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pipeline_runs import run

from segrt.runtime import open_bundle
from segrt.runtime.errors import SegrtError
from segrt.runtime.stream import run_stream, stream
from segrt.runtime.stream.sources.source_kinds import open_source

FIXTURES = Path(__file__).parents[4] / "shared" / "fixtures"
pytestmark = pytest.mark.timeout(30)


def test_every_frame_comes_with_its_own_result_in_order(segmenter, fakes):
    seen = [(frame.index, int(result.class_map[0, 0])) for frame, result in stream(segmenter, fakes.ListSource(150))]
    assert seen == [(index, index) for index in range(150)]


def test_results_carry_their_timings(fakes):
    with fakes.FakeSegmenter(seconds=0.002) as segmenter:
        for _, result in stream(segmenter, fakes.ListSource(3)):
            assert result.timings is not None
            assert result.timings.inference_ms == pytest.approx(2.0)
            assert result.timings.preprocess_ms > 0
            assert result.timings.postprocess_ms > 0


def test_stages_overlap(segmenter, fakes):
    """Frame 0 is not post-processed before frame 1 has been submitted: without overlap that would never happen."""
    submitted = threading.Event()
    submit = segmenter.backend.submit

    def watched(slot):
        submit(slot)
        if int(slot.inputs["image"][0, 0]) == 1:
            submitted.set()

    segmenter.backend.submit = watched
    segmenter.before_postprocess = lambda index: index > 0 or submitted.wait(10) or pytest.fail("no overlap")
    assert len(list(stream(segmenter, fakes.ListSource(4)))) == 4


def test_capture_runs_ahead_but_not_without_bound(segmenter, fakes):
    source = fakes.ListSource(1000)
    results = stream(segmenter, source)
    next(results)
    time.sleep(0.2)
    assert 2 < source.given < 20
    results.close()


def test_the_segmenter_can_be_used_inside_the_loop(segmenter, fakes):
    """The loop's own call needs a slot while the pipeline would like to have all of them."""
    for frame, result in stream(segmenter, fakes.ListSource(30)):
        time.sleep(0.005)
        assert int(segmenter(frame.image).class_map[0, 0]) == int(result.class_map[0, 0])


def test_one_slot_is_enough(fakes):
    with fakes.FakeSegmenter(slots=1) as segmenter:
        for frame, _ in stream(segmenter, fakes.ListSource(10)):
            segmenter(frame.image)


def test_all_sinks_get_everything_and_are_closed_once(segmenter, fakes):
    sinks = [fakes.ListSink("a"), fakes.ListSink("b", drawing=True)]
    run(segmenter, fakes, sinks)
    assert sinks[1].items == [("list", index, index, index + 1) for index in range(10)]
    assert [item[:3] for item in sinks[0].items] == [item[:3] for item in sinks[1].items]
    assert [sink.closes for sink in sinks] == [1, 1]


@pytest.mark.parametrize(("drawing", "expected"), [([False, False], 0), ([True, True], 5), ([False, True], 5)])
def test_a_frame_is_drawn_once_and_only_if_a_sink_needs_it(segmenter, fakes, drawing, expected):
    calls = []
    sinks = [fakes.ListSink(str(index), drawing=needs) for index, needs in enumerate(drawing)]
    run_stream(segmenter, fakes.ListSource(5), sinks, draw=lambda image, _: calls.append(1) or image)
    assert len(calls) == expected


def test_max_frames_ends_the_run(segmenter, fakes):
    sink = fakes.ListSink()
    metrics = run(segmenter, fakes, [sink], count=100, max_frames=7)
    assert len(sink.items) == metrics.frames_out == metrics.frames_in == 7
    assert len(list(stream(segmenter, fakes.ListSource(100), max_frames=3))) == 3


def test_sources_are_served_in_turn_and_each_keeps_its_order(segmenter, fakes):
    sink = fakes.ListSink()
    sources = [fakes.ListSource(40, source_id="a"), fakes.ListSource(10, source_id="b", seconds=0.001)]
    metrics = run_stream(segmenter, sources, [sink])
    for name, count in (("a", 40), ("b", 10)):
        assert [index for source, index, *_ in sink.items if source == name] == list(range(count))
        assert metrics.sources[name].frames_out == count
    assert metrics.frames_out == 50


def test_latest_takes_the_newest_frame_and_counts_the_others(fakes):
    with fakes.FakeSegmenter(seconds=0.05) as segmenter:
        sink = fakes.ListSink()
        source = fakes.ListSource(60, seconds=0.005, live=True)
        metrics = run_stream(segmenter, source, [sink])  # live: latest by default
    indices = [index for _, index, *_ in sink.items]
    assert indices == sorted(indices)
    assert metrics.dropped > 20
    assert metrics.frames_in == metrics.frames_out + metrics.dropped == 60
    assert indices[-1] == 59
    # Two executions of 50 ms and one frame of 5 ms, and air for a busy machine; queued frames would be seconds old.
    assert metrics.frame_age_ms.p50 < 250


def test_latest_plays_a_file_at_its_own_speed(segmenter, fakes):
    start = time.monotonic()
    metrics = run_stream(segmenter, fakes.ListSource(6, pts_step=0.05), [fakes.ListSink()], policy="latest")
    assert time.monotonic() - start >= 0.25
    assert metrics.frames_out + metrics.dropped == 6


def test_metrics_count_heads_that_are_not_finite(segmenter, fakes):
    segmenter.backend.poison = float("nan")
    assert run(segmenter, fakes, [fakes.ListSink()], count=4).nonfinite_heads == 4
    assert [result.nonfinite_heads for _, result in stream(segmenter, fakes.ListSource(3))] == [1, 1, 1]
    segmenter.backend.poison = 0.0
    assert [result.nonfinite_heads for _, result in stream(segmenter, fakes.ListSource(3))] == [0, 0, 0]


def test_what_a_bundles_decoder_counts_reaches_metrics_and_results(fakes, monkeypatch):
    with open_bundle("street-panoptic", threads=1) as segmenter:
        wait = segmenter.backend.wait

        def overflowed(slot):
            heads = wait(slot)
            return {name: replace(head, array=head.array * np.float32("nan")) for name, head in heads.items()}

        monkeypatch.setattr(segmenter.backend, "wait", overflowed)
        source = fakes.ListSource(2, size=(96, 128))
        counts = [result.nonfinite_heads for _, result in stream(segmenter, source)]
        metrics = run_stream(segmenter, fakes.ListSource(2, size=(96, 128)), ["null"])
    assert min(counts) > 0
    assert metrics.nonfinite_heads == sum(counts)


def test_metrics_name_every_stage(segmenter, fakes):
    metrics = run(segmenter, fakes, [fakes.ListSink("a", drawing=True), fakes.ListSink("a")])
    assert list(metrics.stages)[-1] == "total"
    assert {"decode", "preprocess", "inference", "postprocess", "draw", "a 1", "a 2", "total"} == set(metrics.stages)
    assert metrics.frame_age_ms.p95 >= metrics.frame_age_ms.p50 > 0
    assert metrics.fps > 0
    assert metrics.sources == {}


def test_a_real_clip_becomes_an_mp4_of_as_many_frames_at_their_times(tmp_path, segmenter):
    clip = FIXTURES / "video" / "car-detection.mp4"
    if not clip.exists():
        pytest.skip(f"{clip} is missing")
    out = tmp_path / "out.mp4"
    metrics = run_stream(segmenter, clip, [out], draw=lambda image, _: image)
    assert metrics.frames_out == 377
    before, after = ([(frame.index, frame.pts) for frame in open_source(path).frames()] for path in (clip, out))
    assert len(after) == 377
    assert [index for index, _ in after] == [index for index, _ in before]
    assert [pts for _, pts in after] == pytest.approx([pts for _, pts in before], abs=1e-4)


@pytest.mark.parametrize(("options", "message"), [({"policy": "some"}, "policy"), ({"max_frames": 0}, "max_frames")])
def test_wrong_arguments_are_refused_and_the_source_is_closed(segmenter, fakes, options, message):
    source = fakes.ListSource()
    with pytest.raises(SegrtError, match=message):
        run_stream(segmenter, source, **options)
    assert source.closed
