"""What a profile says, as `segrt profile --json` writes it and `--baseline` reads it."""

from pathlib import Path

import msgspec

from segrt.runtime.errors import SegrtError
from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.files.json_files import JsonError, decode_json, encode_json
from segrt.runtime.files.reading import read_bytes

_MOST_BYTES = 512 << 20  # it holds the times of every frame
GPU_STAGES = ("upload", "preprocess", "network", "decode", "download")
STAGES = ("decode", "preprocess", "upload", "inference", "download", "postprocess", "draw")


class StageFigures(msgspec.Struct, frozen=True):
    """One stage's time for a frame, in milliseconds; `p50_low` to `p50_high` is the median's 95 % interval."""

    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    std_ms: float = 0.0
    max_ms: float = 0.0
    p50_low_ms: float = 0.0
    p50_high_ms: float = 0.0


class Layer(msgspec.Struct, frozen=True):
    """One module's time in the network for a frame."""

    name: str
    operator: str
    ms: float


class Accuracy(msgspec.Struct, frozen=True):
    """The main metric of a technique on the given data set, 0 to 1: `miou`, `ap` or `pq`."""

    metric: str
    value: float
    images: int


class Span(msgspec.Struct, frozen=True):
    """A stage's work on one frame in the overlapped run: which thread, from when to when, in ms since the run began."""

    frame: int
    stage: str
    thread: str
    begin_ms: float
    end_ms: float


class Live(msgspec.Struct, frozen=True):
    """What a camera of `source_fps` would see: frames that got a result, and their age; the others were dropped."""

    source_fps: float
    frames_in: int
    frames_out: int
    dropped: int
    frames: list[int]
    ages_ms: list[float]


class GpuRun(msgspec.Struct, frozen=True):
    """What the GPU's own clock tells of a frame (CUDA events), and of the stream at full speed.

    `stages` are `upload`, `preprocess`, `network`, `decode` and `download` (of the result, or of heads that the CPU
    decodes), as far as the GPU does them. While streaming it was busy for `busy_share` (0 to 1) of the time, and idle
    for `idle_ms` of a frame at a median, `longest_idle_ms` at most. `why_no_graph` says why the network is launched
    call by call, "" where it is not.
    """

    stages: dict[str, StageFigures]
    busy_share: float | None = None
    idle_ms: float | None = None
    longest_idle_ms: float | None = None
    why_no_graph: str = ""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate: a bundle at a precision on a backend, with so many threads, on pictures of `size` (H, W).

    `fps` is the throughput with overlapping stages, `fps_alone` that of one frame after the other. `peak_rss_mb` and
    `cold_start_ms` (from starting the process to the first result, imports included) are those of a process of its own.
    `cpu_ms` is the CPU time of all threads for a frame. `samples` holds each stage's time of every measured frame.
    `decode_device`, "cuda" or "cpu", is what decodes heads, `decode_reason` says why.
    """

    bundle: str
    technique: str
    backend: str
    precision: str
    device: str
    frames: int
    stages: dict[str, StageFigures]
    fps: float
    peak_rss_mb: float | None
    threads: int = 0
    size: tuple[int, int] = (0, 0)
    network_size: tuple[int, int] = (0, 0)
    backend_reason: str = ""
    decode_device: str = ""
    decode_reason: str = ""
    fps_alone: float = 0.0
    cpu_ms: float = 0.0
    cold_start_ms: float | None = None
    gpu_memory_mb: float | None = None
    warmup_frames: int = 0
    is_stable: bool = True
    accuracy: Accuracy | None = None
    layers: list[Layer] = []
    samples: dict[str, list[float]] = {}
    spans: list[Span] = []
    live: Live | None = None
    gpu: GpuRun | None = None

    @property
    def title(self) -> str:
        """What tells it from the others in a table."""
        threads = f", {self.threads} threads" if self.threads > 1 else ", 1 thread" if self.threads else ""
        return f"{self.bundle} {self.precision}{threads}"

    @property
    def key(self) -> tuple[str, str, str, int, tuple[int, int]]:
        """What the same candidate has in another profile."""
        return (self.bundle, self.backend, self.precision, self.threads, self.size)


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured, and how the machine was meanwhile; None for what it does not tell.

    Clocks and temperatures are (before, after); `gpu_clock_mhz` is (lowest, highest).
    """

    processor: str
    cores: int
    system: str
    python: str
    versions: dict[str, str]
    governor: str | None = None
    clock_mhz: tuple[float, float] | None = None
    temperature_c: tuple[float, float] | None = None
    power_w: float | None = None
    other_cores_busy: float | None = None
    gpu_clock_mhz: tuple[float, float] | None = None


class Profile(msgspec.Struct, frozen=True):
    """A whole profile; `notes` say what makes its figures doubtful."""

    runs: list[Run]
    machine: Machine | None = None
    source: str = ""
    command: str = ""
    date: str = ""
    notes: list[str] = []

    def write(self, path: Path) -> None:
        """Write as JSON, whole or not at all; raise SegrtError when that fails."""
        make_folder(path.parent)
        write_atomic(path, self.text().encode() + b"\n")

    def text(self) -> str:
        """Return the JSON."""
        return msgspec.json.format(encode_json(self), indent=1).decode()


def read_profile(path: Path) -> Profile:
    """Read a profile's JSON; raise SegrtError naming the file when it is none."""
    try:
        profile: Profile = decode_json(read_bytes(path, _MOST_BYTES), Profile)
    except OSError as error:
        raise SegrtError(f"{path}: cannot be read ({error.strerror}); give the JSON of an earlier profile") from None
    except JsonError as error:
        raise SegrtError(f"{path}: is no profile ({error}); write one with `segrt profile --json`") from None
    return profile
