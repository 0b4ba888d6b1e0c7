"""Video decoded by a GPU (NVDEC) against the CPU's: the same frames, bit for bit, and how fast.

    python tests/gpu/video.py --clip FILE [--out DIR] [--seconds S] [--decode-only] [--bundle BUNDLE]...

Encodes the clip at 1080p in several codecs, compares every frame with FFmpeg's software decoder, and measures decoding
alone, then whole streams of several cameras with each decoder (`benchmarks/cameras.py`). Writes DIR/video.json and
prints a line for each thing. Without a GPU that decodes it says why and ends with 0; ends with 1 where bits differ.
"""

import argparse
import json
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from segrt.runtime.errors import VideoError
from segrt.runtime.stream.frame import GpuFrame
from segrt.runtime.stream.sources.gpu_decoder import why_no_gpu_decoder
from segrt.runtime.stream.sources.video_file import VideoSource

# Name → encoder, pixel format, FFmpeg's number of the colour space, whether luma goes from 0 to 255.
CODECS = {
    "h264": ("libx264", "yuv420p", 1, False),
    "h264 full range": ("libx264", "yuvj420p", 6, True),
    "hevc": ("libx265", "yuv420p", 1, False),
    "hevc 10 bit": ("libx265", "yuv420p10le", 9, False),
    "av1": ("libsvtav1", "yuv420p", 1, False),
    "vp9": ("libvpx-vp9", "yuv420p", 1, False),
}


def encode(clip: Path, path: Path, how: tuple[str, str, int, bool], frames: int) -> None:
    """Write the first frames of `clip` at 1080p."""
    encoder, pix_fmt, space, full = how
    options = {"libx264": {"preset": "veryfast"}, "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"}}
    options |= {"libsvtav1": {"preset": "12"}, "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"}}
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream(encoder, rate=25, options=options[encoder])
        stream.height, stream.width, stream.pix_fmt = 1080, 1920, pix_fmt
        stream.codec_context.colorspace, stream.codec_context.color_range = space, 2 if full else 1
        for index, frame in enumerate(source.decode(video=0)):
            if index == frames:
                break
            larger = frame.reformat(1920, 1080, pix_fmt)
            larger.pts = None
            target.mux(stream.encode(larger))
        target.mux(stream.encode(None))


def frames_of(path: Path, wanted: Any) -> Any:
    """Yield the frames of a file by one decoder."""
    source = VideoSource(path, path.stem)
    source.wanted_decoder = wanted
    try:
        yield from source.frames()
    finally:
        source.close()


def compare(path: Path) -> dict[str, Any]:
    """Compare all frames of a file; return what was found."""
    frames = on_gpu = worst = 0
    different = 0.0
    for got, wanted in zip(frames_of(path, "auto"), frames_of(path, "cpu"), strict=True):
        frames += 1
        on_gpu += isinstance(got, GpuFrame)
        if got.pts != wanted.pts:
            return {"equal": f"frame {frames}: pts {got.pts}, not {wanted.pts}"}
        apart = np.abs(got.image.astype(np.int16) - wanted.image)
        worst, different = max(worst, int(apart.max())), max(different, float((apart > 0).mean()))
    equal = "yes" if worst == 0 else f"no: up to {worst} levels in {different:.2%} of a frame's values"
    return {"frames": frames, "on_gpu": on_gpu, "equal": equal}


def speed(path: Path, wanted: Any, *, fetch: bool = False) -> dict[str, float]:
    """Return frames a second and CPU time of decoding alone; with `fetch` every picture is copied to the host."""
    count, begin, cpu = 0, 0.0, 0.0
    for frame in frames_of(path, wanted):
        if count == 0:  # opening a decoder takes some tenths of a second
            begin, cpu = time.monotonic(), time.process_time()
        if fetch:
            _ = frame.image
        count += 1
    seconds = time.monotonic() - begin
    return {"fps": round((count - 1) / seconds, 1), "cpu_ms": round((time.process_time() - cpu) * 1e3 / count, 3)}


def streams(path: Path, bundle: str, seconds: float, cameras: list[int], batches: list[int]) -> list[dict[str, Any]]:
    """Return the figures of whole streams, decoded by the CPU and by the GPU."""
    from cameras import measure

    from segrt.runtime import open_bundle

    rows = []
    for batch in batches:
        with open_bundle(bundle, batch=batch) as segmenter:
            for number in cameras:
                for decoder in ("cpu", "cuda"):
                    if number < batch:
                        continue
                    args = argparse.Namespace(clip=path, seconds=seconds, decode_video=decoder)
                    row = {"bundle": Path(bundle).name, "batch": batch, "cameras": number, "decoder": decoder}
                    row |= measure(segmenter, args, number, None)
                    rows.append(row)
                    print(row, flush=True)
    return rows


def main() -> int:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--seconds", type=float, default=2.0, help="of each stream")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--decode-only", action="store_true")
    parser.add_argument("--bundle", action="append", default=[])
    parser.add_argument("--cameras", default="1,4,16")
    parser.add_argument("--batch", default="1")
    args = parser.parse_args()
    if (reason := why_no_gpu_decoder()) is not None:
        print(f"no video is decoded on a GPU here: {reason}")
        return 0
    report: dict[str, Any] = {"decoding": {}, "streams": []}
    with tempfile.TemporaryDirectory() as folder:
        paths = {"as it is": args.clip}
        for name, how in CODECS.items():
            path = Path(folder) / f"{name}.mkv"
            with suppress(av.error.FFmpegError, ValueError):
                encode(args.clip, path, how, args.frames)
                paths[name] = path
        for name, path in paths.items():
            try:
                row = compare(path)
                row |= {f"{kind} {key}": value for kind in ("cpu", "auto") for key, value in speed(path, kind).items()}
                row |= {f"fetched {key}": value for key, value in speed(path, "auto", fetch=True).items()}
            except VideoError as error:
                row = {"equal": str(error)}
            report["decoding"][name] = row
            print(name, row, flush=True)
        if not args.decode_only:
            cameras, batches = ([int(n) for n in text.split(",")] for text in (args.cameras, args.batch))
            for bundle in args.bundle or ["street-panoptic"]:
                report["streams"] += streams(paths["h264"], bundle, args.seconds, cameras, batches)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "video.json").write_text(json.dumps(report, indent=1))
    return int(any(row["equal"] != "yes" for row in report["decoding"].values()))


if __name__ == "__main__":
    sys.exit(main())
