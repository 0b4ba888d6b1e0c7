"""What the tests of archives share: small videos, a crew in this process, openings whose segmenters end their process.

Workers import this module: what they are given from it travels by name.
"""

import os
import resource
import signal
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from segrt.runtime.scale.archive.archive_job import ArchiveJob
from segrt.runtime.scale.archive.clip_worker import ClipWorker, Task
from segrt.runtime.scale.archive.crew import Finished
from segrt.runtime.segmenter import Segmenter

X264 = "keyint=8:min-keyint=8:scenecut=0:bframes={bframes}:threads=1"


def encoded(
    path: Path, codec: str = "libx264", options: dict[str, str] | None = None, *, frames: int = 40, rate: int = 10,
    varied: bool = False, muxing: dict[str, str] | None = None, kind: str | None = None,
) -> Path:  # fmt: skip
    """Write a video of something that moves, 96x64, with a key frame at every eighth frame unless options say else."""
    if options is None:
        options = {"x264-params": X264.format(bframes=2)}
    textures = np.random.default_rng(0).integers(0, 255, (8, 24, 3), np.uint8)
    scene = np.repeat(np.repeat(textures, 8, 0), 8, 1)
    with av.open(str(path), "w", options=muxing or {}, format=kind) as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.gop_size = 96, 64, 8
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if varied:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index in range(frames):
            picture = np.ascontiguousarray(scene[:, index * 2 % 96 : index * 2 % 96 + 96])
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            if varied:
                frame.pts, frame.time_base = index * 100 + index % 3 * 20, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


class InlineCrew:
    """One worker, in this process."""

    def __init__(self, job: ArchiveJob) -> None:
        self.worker = ClipWorker(job)
        self.tasks: deque[Task] = deque()
        self.done: list[Task] = []
        self.size = 1

    @property
    def idle(self) -> int:
        """1 where it has no task."""
        return int(not self.tasks)

    @property
    def busy(self) -> int:
        """1 where it has one."""
        return len(self.tasks)

    def give(self, task: Task) -> None:
        """Take a task."""
        self.tasks.append(task)

    def wait(self, seconds: float) -> list[Finished]:  # noqa: ARG002 (the protocol's)
        """Do it now."""
        task = self.tasks.popleft()
        self.done.append(task)
        return [Finished(task, self.worker.do(task))]

    def close(self) -> None:
        """Forget what was not done."""
        self.tasks.clear()


class Watched:
    """A segmenter that calls `before` with each picture first."""

    def __init__(self, segmenter: Segmenter, before: Callable[[Any], None]) -> None:
        self.segmenter, self.before = segmenter, before
        self.read = segmenter.read

    def __call__(self, image: Any) -> Any:
        """Segment a picture."""
        self.before(image)
        return self.segmenter(image)


@dataclass(frozen=True)
class KilledOpening:
    """Opens a segmenter whose process is killed at its third picture, as often as files can be made in `folder`."""

    opening: Callable[[], Segmenter]
    folder: str
    times: int = 1

    def __call__(self) -> Watched:
        """Open it."""
        seen: list[int] = []

        def before(image: Any) -> None:  # noqa: ARG001
            seen.append(1)
            if len(seen) == 3 and self.taken():
                os.kill(os.getpid(), signal.SIGKILL)

        return Watched(self.opening(), before)

    def taken(self) -> bool:
        """Take one of the `times`; False when all are taken."""
        for number in range(self.times):
            try:
                (Path(self.folder) / f"killed-{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            return True
        return False


@dataclass(frozen=True)
class PoisonedOpening:
    """Opens a segmenter whose process is killed by each picture that is all white."""

    opening: Callable[[], Segmenter]

    def __call__(self) -> Watched:
        """Open it."""

        def before(image: Any) -> None:
            if image.mean() > 240:
                os.kill(os.getpid(), signal.SIGKILL)

        return Watched(self.opening(), before)


@dataclass(frozen=True)
class HungryOpening:
    """Opens a segmenter that once wants more memory than its process may have."""

    opening: Callable[[], Segmenter]
    flag: str

    def __call__(self) -> Watched:
        """Open it."""

        def before(image: Any) -> None:  # noqa: ARG001
            try:
                Path(self.flag).touch(exist_ok=False)
            except FileExistsError:
                return
            limits = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (8 << 30, limits[1]))
            try:
                np.ones(16 << 30, np.uint8)
            finally:
                resource.setrlimit(resource.RLIMIT_AS, limits)

        return Watched(self.opening(), before)
