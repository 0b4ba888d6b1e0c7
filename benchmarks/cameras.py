"""How many cameras one process serves: throughput by cameras and batch, and who loses frames when there are too many.

    python benchmarks/cameras.py [--bundle BUNDLE] [--clip FILE] [--cameras 1,2,4,8] [--batch 1,2,4,8] [--seconds S]
                                 [--threads N] [--decode-video auto|cpu|cuda] [--fps F] [--out FILE.json]

- throughput: every camera plays the clip as fast as its frames are taken, nothing is dropped; one of each source goes
  into the network at once where the batch allows, and CPU time is that of the whole process, decoding included
- overload: every camera gives F frames a second, whether somebody takes them or not; the newest counts, and what each
  camera got of its own frames shows whether they are treated alike

Without --clip a street of 1280x720 is drawn and encoded. A batch above 1 needs a bundle of `segrt export
--dynamic-batch`.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import av

from segrt.runtime import Segmenter, open_bundle
from segrt.runtime.stream.frame import Frame, frame_of
from segrt.runtime.stream.loop import run_stream
from segrt.runtime.stream.sources.source import Source, SourceInfo
from segrt.runtime.stream.sources.video_file import VideoSource
from segrt.runtime.streetworld import StreetWorld


class Camera(Source):
    """Plays a clip again and again for `seconds`; with `fps` as a camera does, which waits for nobody."""

    def __init__(self, clip: Path, number: int, seconds: float, fps: float | None) -> None:
        self.info = SourceInfo(source_id=f"camera {number}", live=fps is not None)
        self._clip, self._seconds, self._fps = clip, seconds, fps
        self._stopped = False

    @classmethod
    def why_not_on_gpu(cls) -> str | None:
        """See `Source`."""
        return VideoSource.why_not_on_gpu()

    def frames(self) -> Iterator[Frame]:
        """Yield frames until the time is over."""
        begin, index = time.monotonic(), 0
        while not self._stopped:
            source = VideoSource(self._clip, self.info.source_id)
            source.wanted_decoder = self.wanted_decoder
            for frame in source.frames():
                now = time.monotonic() - begin
                if now > self._seconds or self._stopped:
                    source.close()
                    return
                if self._fps is not None:
                    time.sleep(max(0.0, index / self._fps - now))
                yield frame_of(frame.picture, index, None, time.monotonic(), self.info.source_id)
                index += 1
            source.close()

    def stop(self) -> None:
        """Let `frames` end."""
        self._stopped = True


def measure(segmenter: Segmenter, args: argparse.Namespace, cameras: int, fps: float | None) -> dict[str, float]:
    """Return the figures of one run."""
    sources = [Camera(args.clip, number, args.seconds, fps) for number in range(cameras)]
    cpu, begin = time.process_time(), time.monotonic()
    metrics = run_stream(segmenter, sources, ["null"], decode_video=args.decode_video)
    seconds, cpu = time.monotonic() - begin, time.process_time() - cpu
    each = metrics.sources or {"": metrics}
    taken = [counts.frames_out for counts in each.values()]
    return {
        "frames_per_second": round(metrics.frames_out / seconds, 1),
        "cpu_ms_per_frame": round(cpu * 1e3 / max(1, metrics.frames_out), 2),
        "age_p50_ms": round(metrics.frame_age_ms.p50 or 0.0, 1),
        "age_p95_ms": round(metrics.frame_age_ms.p95 or 0.0, 1),
        "dropped": metrics.dropped,
        "fewest_of_a_camera": min(taken),
        "most_of_a_camera": max(taken),
        "decoded_on_gpu": metrics.gpu_frames,
    }


def street_clip(path: Path) -> Path:
    """Write a street of four seconds as H.264."""
    world = StreetWorld(seed=1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 720, 1280, "yuv420p"
        for index in range(100):
            picture = world.render(index / 25, (720, 1280)).image
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        container.mux(stream.encode(None))
    return path


def numbers(text: str) -> list[int]:
    """Read "1,2,4"."""
    return [int(word) for word in text.split(",")]


def main() -> None:
    """Measure everything and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="street-panoptic")
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--cameras", type=numbers, default=[1, 2, 4, 8])
    parser.add_argument("--batch", type=numbers, default=[1])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--decode-video", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        args.clip = args.clip or street_clip(Path(folder) / "street.mp4")
        for batch in args.batch:
            with open_bundle(args.bundle, threads=args.threads, batch=batch) as segmenter:
                measure(segmenter, args, 1, None)  # the first run allocates
                for cameras in args.cameras:
                    if cameras < batch:
                        continue
                    for fps in (None, args.fps):
                        row = {"batch": batch, "cameras": cameras, "fps": fps, **measure(segmenter, args, cameras, fps)}
                        rows.append(row)
                        print(row, flush=True)
    print("\n".join(tables(rows)))
    if args.out is not None:
        args.out.write_text(json.dumps(rows, indent=1))


def tables(rows: list[dict[str, float]]) -> list[str]:
    """Return both tables in Markdown."""
    lines = ["", "| batch | cameras | frames/s | CPU ms a frame |", "|---|---|---|---|"]
    for row in rows:
        if row["fps"] is None:
            figures = row["frames_per_second"], row["cpu_ms_per_frame"]
            lines.append(f"| {row['batch']} | {row['cameras']} | {figures[0]} | {figures[1]} |")
    lines += ["", "| batch | cameras | results/s | frame age p50, p95 | dropped | fewest, most of a camera |"]
    lines.append("|---|---|---|---|---|---|")
    for row in rows:
        if row["fps"] is not None:
            ages = f"{row['age_p50_ms']}, {row['age_p95_ms']} ms"
            share = f"{row['fewest_of_a_camera']}, {row['most_of_a_camera']}"
            counts = f"{row['frames_per_second']} | {ages} | {row['dropped']} | {share}"
            lines.append(f"| {row['batch']} | {row['cameras']} | {counts} |")
    return lines


if __name__ == "__main__":
    main()
