"""The metrics of a run, as they are written: counts, frame age and the time of every stage."""

from pathlib import Path

import msgspec

from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.files.json_files import encode_json


class StageTimes(msgspec.Struct, frozen=True):
    """One stage's time for a frame, in milliseconds."""

    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float


class Ages(msgspec.Struct, frozen=True):
    """From the capture of a frame to its result, in milliseconds; None before the first result."""

    p50: float | None
    p95: float | None
    p99: float | None


class SinkCounts(msgspec.Struct, frozen=True):
    """What became of the results that a sink was given: `failures` counts its outages, not the results lost in them."""

    written: int
    dropped: int
    failures: int


class StreamMetrics(msgspec.Struct, frozen=True, omit_defaults=True):
    """The metrics of a run, or of one source of it.

    `frames_in` counts the frames that entered the pipeline or were dropped before it, `frames_out` the results,
    `dropped` what `latest` passed over: in = out + dropped, but for what a failure or an interruption cut off. `fps`
    is results by time since the start. `nonfinite_heads` counts heads with NaN or infinity in them. `stages` has
    `decode`, `preprocess`, `inference`, `postprocess`, `draw` (if anything was drawn), each sink's name, and `total`:
    preprocess + inference + postprocess. `sources` holds the same for each source when there are several.

    `skipped` counts frames that `every` and `target_fps` left out, which are in no other count; `frozen` and `black`
    how often a live source's picture became so. `sinks` has a name for each sink.

    `gpu_frames` counts the frames that the GPU decoded, and that went from there into the network.

    `server_outages` counts how often the server that executes the network was away.

    `model` is the bundle's name. `backend`, `device` and `precision` are what executed the network, `backend_reason` is
    why that backend was taken; `decode_device`, "cuda" or "cpu", is what decoded its heads, `decode_reason` why.
    """

    frames_in: int
    frames_out: int
    dropped: int
    fps: float
    reconnects: int
    nonfinite_heads: int
    frame_age_ms: Ages
    stages: dict[str, StageTimes]
    sources: "dict[str, StreamMetrics]" = {}
    skipped: int = 0
    frozen: int = 0
    black: int = 0
    sinks: dict[str, SinkCounts] = {}
    backend: str = ""
    device: str = ""
    precision: str = ""
    backend_reason: str = ""
    decode_device: str = ""
    decode_reason: str = ""
    model: str = ""
    server_outages: int = 0
    gpu_frames: int = 0

    def write(self, path: Path) -> None:
        """Write as JSON, whole or not at all; raise SegrtError when that fails."""
        make_folder(path.parent)
        write_atomic(path, msgspec.json.format(encode_json(self)) + b"\n")
