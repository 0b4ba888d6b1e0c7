"""The profiler against a clock that we hold, and stages of known length."""

# ruff: noqa: D102 (what the fakes' methods do is in the interfaces)

import time
from itertools import count

import numpy as np
import pytest

from segrt.runtime import open_bundle
from segrt.runtime.inference.tensors import Slot
from segrt.runtime.profiling.interleaved import MOST_WARMUP, is_warm, measure
from segrt.runtime.profiling.sample_pictures import Decoded, Pictures, resized
from segrt.runtime.profiling.sampling import sample


class FakeClock:
    """Seconds that pass only when somebody says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, ms):
        self.now += ms / 1e3


class FakeSegmenter:
    """Stages that take given milliseconds of the fake clock; `inference` may be a function of the frame's number."""

    def __init__(self, clock, *, preprocess=1.0, inference=10.0, postprocess=2.0, copies=0.0, log=None, name="a"):
        self.backend = self
        self._clock, self._times = clock, (preprocess, inference, postprocess)
        self._copies, self._log, self._name = copies, log, name
        self._frames = count()

    def acquire(self):
        return Slot(0, {})

    def preprocess(self, image, slot):  # noqa: ARG002
        if self._log is not None:
            self._log.append(self._name)
        self._clock.sleep(self._times[0])

    def execute(self, slot):
        inference = self._times[1]
        slot.inference_ms = inference(next(self._frames)) if callable(inference) else inference
        slot.upload_ms = slot.download_ms = self._copies
        self._clock.sleep(slot.inference_ms + 2 * self._copies)
        return slot

    def release(self, slot):
        pass

    def postprocess(self, heads, geometry):  # noqa: ARG002
        self._clock.sleep(self._times[2])
        return "result"


def grey():
    while True:
        yield Decoded(np.zeros((4, 6, 3), np.uint8), None)


def test_percentiles_are_exact_on_a_fake_clock():
    clock = FakeClock()
    segmenter = FakeSegmenter(clock, inference=lambda frame: float(frame % 101), copies=0.5)
    own = measure([(segmenter, None)], grey(), 101, warmup=0, clock=clock)[0]
    figures = own.figures()
    assert list(figures) == ["preprocess", "upload", "inference", "download", "postprocess", "total"]
    inference = figures["inference"]
    assert (inference.p50_ms, inference.p90_ms, inference.p95_ms, inference.p99_ms) == (50, 90, 95, 99)
    assert (inference.mean_ms, inference.max_ms) == (50, 100)
    assert inference.std_ms == pytest.approx(29.1547, abs=1e-3)
    assert figures["preprocess"].p50_ms == pytest.approx(1.0)
    assert figures["total"].p50_ms == pytest.approx(50 + 1 + 2 + 1)


def test_decoding_and_drawing_count_to_the_total():
    clock = FakeClock()
    pictures = (Decoded(np.zeros((4, 6, 3), np.uint8), 5.0) for _ in count())
    own = measure(
        [(FakeSegmenter(clock), None)], pictures, 10, warmup=0, clock=clock, draw=lambda *_: clock.sleep(3.0)
    )[0].figures()
    assert own["decode"].p50_ms == 5.0
    assert own["draw"].p50_ms == pytest.approx(3.0)
    assert own["total"].p50_ms == pytest.approx(5 + 1 + 10 + 2 + 3)


def test_candidates_take_turns_and_each_is_first_equally_often():
    clock, log = FakeClock(), []
    segmenters = [(FakeSegmenter(clock, log=log, name=name), None) for name in "abc"]
    measure(segmenters, grey(), 6, warmup=0, clock=clock)
    assert "".join(log) == "abcbcacababcbcacab"


def test_warming_up_ends_when_it_has_ended():
    clock = FakeClock()
    slow_start = FakeSegmenter(clock, inference=lambda frame: 10 + 200 * 0.8**frame)
    own = measure([(slow_start, None)], grey(), 20, clock=clock)[0]
    assert own.is_stable
    assert 15 <= own.warmup_frames <= 40
    assert max(own.stages["inference"]) < 12
    steady = measure([(FakeSegmenter(clock), None)], grey(), 10, clock=clock)[0]
    assert steady.warmup_frames == 10


def test_warming_up_gives_up_and_says_so():
    clock = FakeClock()
    never = FakeSegmenter(clock, inference=lambda frame: 1000 * 0.97**frame)
    own = measure([(never, None)], grey(), 10, clock=clock)[0]
    assert not own.is_stable
    assert own.warmup_frames <= MOST_WARMUP


def test_is_warm_needs_two_windows():
    assert not is_warm([1.0] * 9)
    assert is_warm([1.0] * 10)
    assert not is_warm([2.0] * 5 + [1.0] * 5)


def test_medians_are_right_on_stages_that_really_sleep():
    """Sleeping lasts a little longer than it is told to, on a busy machine much longer: the median must not."""

    class Sleeping(FakeSegmenter):
        def __init__(self):
            super().__init__(None)

        def preprocess(self, image, slot):  # noqa: ARG002
            self.asked = time.perf_counter()
            time.sleep(0.02)
            asked.append((time.perf_counter() - self.asked) * 1e3)

        def execute(self, slot):
            slot.inference_ms = 0.0

        def postprocess(self, heads, geometry):
            pass

    asked: list[float] = []
    found = [sample(Sleeping(), np.zeros((2, 2, 3), np.uint8))["preprocess"] for _ in range(15)]
    assert np.median(found) == pytest.approx(np.median(asked), rel=0.02)


def test_a_real_segmenter_gives_stages_that_add_up():
    picture = resized(next(iter(Pictures("street://?seed=1&width=320&height=192"))).image, (96, 160))
    assert picture.shape == (96, 160, 3)
    with open_bundle("street-panoptic", threads=1) as segmenter:
        own = measure([(segmenter, None)], (Decoded(picture, None) for _ in count()), 12, warmup=2)[0]
    stages = {name: np.median(values) for name, values in own.stages.items()}
    assert set(stages) == {"preprocess", "inference", "postprocess", "total"}
    assert sum(stages.values()) - stages["total"] <= stages["total"] * 1.001
    assert all(value > 0 for value in own.cpu_ms)
