"""Fakes that obey the real contracts: a backend on the real base class, a segmenter, sources and sinks in memory."""

# ruff: noqa: D102 (what the fakes' methods do is in the interfaces)

import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from types import ModuleType, SimpleNamespace

import av
import numpy as np
import pytest

from segrt.runtime.files.images import write_image
from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.tensors import Head, TensorSpec
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Label, PanopticResult, Segment, SemanticResult
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sources.source import Source, SourceInfo

sys.path.insert(0, str(Path(__file__).resolve().parent))

CHROMIUM = shutil.which("chromium")
LABELS = tuple(Label(name=f"class {i}", dataset_id=i, isthing=False, color=(i, i, i)) for i in range(250))
SIZE = (4, 6)


class Boom(Exception):  # noqa: N818
    """What the tests raise; nothing in segrt knows it."""


class FakeBackend(Backend):
    """Gives back the input's mean as its head, from a thread of its own, after `seconds`."""

    name = "fake"
    device = "cpu"

    def __init__(self, *, slots: int = 2, seconds: float = 0.0, batch: int = 1) -> None:
        self.seconds = seconds
        self.batches = []
        self._places = batch
        self.fail_at: int | None = None
        self.poison: float = 0.0
        self._runs = 0
        self._worker = ThreadPoolExecutor(1)
        self._running = {}
        super().__init__(
            [TensorSpec("image", "uint8", (batch, 1))], [TensorSpec("out", "float32", (batch, 1))], slots=slots
        )

    def _make_inputs(self, index):  # noqa: ARG002
        return {"image": np.zeros((self._places, 1), np.uint8)}

    def _start(self, slot):
        self._running[slot.index] = self._worker.submit(self._execute, slot)

    def _execute(self, slot):
        time.sleep(self.seconds)
        self.batches.append(list(slot.sources))
        run, self._runs = self._runs, self._runs + 1
        if run == self.fail_at:
            raise Boom("inference")
        return {"out": Head("out", slot.inputs["image"].astype(np.float32) + self.poison)}

    def _finish(self, slot):
        slot.inference_ms = self.seconds * 1e3
        return self._running.pop(slot.index).result()

    def _shut(self):
        self._worker.shutdown()


class FakeSegmenter:
    """Its result says which frame it saw: the whole class map is the frame's top left blue value."""

    labels = LABELS
    technique = "semantic"
    variant = SimpleNamespace(precision="fp32")
    manifest = SimpleNamespace(name="fake", domain=None, takes_prompts=False)

    def __init__(self, **options):
        self.backend = FakeBackend(**options)
        self.fail_preprocess_at: int | None = None
        self.fail_postprocess_at: int | None = None
        self.before_postprocess = lambda index: None  # noqa: ARG005

    def __call__(self, image):
        slot = self.backend.acquire()
        try:
            geometry = self.preprocess(image, slot)
            self.backend.submit(slot)
            return self.postprocess(self.backend.wait(slot), geometry)
        finally:
            self.backend.release(slot)

    def preprocess(self, image, slot, index=0):
        if int(image[0, 0, 0]) == self.fail_preprocess_at:
            raise Boom("preprocess")
        slot.inputs["image"][index] = image[0, 0, 0]
        return Geometry(image.shape[:2], SIZE, (0.0, 0.0, *map(float, SIZE)))

    def postprocess(self, heads, geometry, index=0):
        head = float(heads["out"].array[index, 0])
        nonfinite_heads = int(not np.isfinite(head))
        value = 0 if nonfinite_heads else int(head)
        self.before_postprocess(value)
        if value == self.fail_postprocess_at:
            raise Boom("postprocess")
        class_map = np.full(geometry.source_size, value, np.uint8)
        return SemanticResult(class_map, LABELS, nonfinite_heads=nonfinite_heads)

    def close(self):
        self.backend.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class PanopticSegmenter(FakeSegmenter):
    """Its result is one segment of the class that the fake network gave."""

    technique = "panoptic"

    def postprocess(self, heads, geometry, index=0):
        value = int(super().postprocess(heads, geometry, index).class_map[0, 0])
        height, width = geometry.source_size
        segment = Segment(1, value, False, 1.0, height * width, (0, 0, width, height))
        return PanopticResult(np.ones((height, width), np.int32), [segment], LABELS)


class ListSource(Source):
    """`count` frames, each filled with its index; raises Boom after `fail_after` frames."""

    def __init__(
        self, count=10, *, source_id="list", fail_after=None, seconds=0.0, pts_step=0.04, live=False, size=SIZE
    ):
        self.info = SourceInfo(source_id, Fraction(25), count, live)
        self._count, self._fail_after, self._seconds, self._step = count, fail_after, seconds, pts_step
        self._size = size
        self.closed = False
        self.given = 0

    def frames(self):
        for index in range(self._count):
            if index == self._fail_after:
                raise Boom("source")
            time.sleep(self._seconds)
            self.given += 1
            image = np.full((*self._size, 3), index % 200, np.uint8)
            pts = None if self._step is None else index * self._step
            yield Frame(image, index, pts, time.monotonic(), self.info.source_id)

    def close(self):
        self.closed = True


class ListSink(Sink):
    """Keeps (source, index, class, drawing's mark) of what it gets; raises Boom where it is told to."""

    def __init__(self, name="listed", *, drawing=False, fail_at=None, fail_open=False, fail_close=False):
        self.name, self.needs_drawing = name, drawing
        self._fail_at, self._fail_open, self._fail_close = fail_at, fail_open, fail_close
        self.items = []
        self.closes = 0

    def open(self, sources):
        self.sources = list(sources)
        if self._fail_open:
            raise Boom("sink open")

    def write(self, frame, result, drawn):
        if frame.index == self._fail_at:
            raise Boom("sink")
        mark = None if drawn is None else int(drawn[0, 0, 0])
        self.items.append((frame.source_id, frame.index, int(result.class_map[0, 0]), mark))

    def close(self):
        self.closes += 1
        if self._fail_close:
            raise Boom("sink close")


def stage_threads() -> list[threading.Thread]:
    """Return the pipeline threads that are alive."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("segrt ")]


def write_video(
    path: Path,
    images,
    *,
    codec="libx264",
    pix_fmt="yuv420p",
    rate=25,
    pts=None,
    options=None,
    container_options=None,
    pixel_ratio=None,
    format=None,  # noqa: A002 (PyAV's name)
    colour_range=None,
    metadata=None,
):
    """Encode uint8 BGR images with PyAV; `pts` are milliseconds."""
    with av.open(str(path), "w", format=format, options=container_options or {}) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if pixel_ratio is not None:
            stream.codec_context.sample_aspect_ratio = pixel_ratio
        if pts is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame = frame.reformat(format=pix_fmt, dst_color_range=colour_range)
            if pts is not None:
                frame.pts, frame.time_base = pts[index], Fraction(1, 1000)
            else:
                frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_picture(path: Path):
    """Write a small black picture, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.zeros((48, 64, 3), np.uint8))
    return path


def shades(count, size=(48, 64)):
    """Return `count` flat grey images of rising brightness."""
    return [np.full((*size, 3), 20 + 200 * index // max(1, count), np.uint8) for index in range(count)]


def quadrants(size=(64, 96)):
    """Return an image with a red, green, blue and white quadrant: top left, top right, bottom left, bottom right."""
    height, width = size
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (0, 0, 220)
    image[: height // 2, width // 2 :] = (0, 220, 0)
    image[height // 2 :, : width // 2] = (220, 0, 0)
    image[height // 2 :, width // 2 :] = (220, 220, 220)
    return image


@pytest.fixture
def fakes() -> ModuleType:
    """This module: its fakes and helpers."""
    return sys.modules[__name__]


@pytest.fixture
def video(tmp_path):
    """A video of 30 frames."""
    return write_video(tmp_path / "in.mp4", shades(30, (96, 128)), container_options={"movflags": "faststart"})


@pytest.fixture
def segmenter():
    """A fake segmenter that answers at once."""
    with FakeSegmenter() as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_thread_is_left():
    """Every test of this room ends with no pipeline thread alive."""
    yield
    deadline = time.monotonic() + 5
    while stage_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert stage_threads() == []


@pytest.fixture
def browser():
    """A real Chromium; skips, with the reason, where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install 'segrt[dev]')")
    if CHROMIUM is None:
        pytest.skip("needs Chromium (apt-get install chromium)")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield opened
        opened.close()
