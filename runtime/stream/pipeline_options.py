"""How a pipeline runs: which frames it takes, how many results it gives, and to whom."""

from dataclasses import dataclass, field

from segrt.runtime.errors import SegrtError
from segrt.runtime.stream.step import Draw, Step
from segrt.runtime.stream.thinning import Thinning

POLICIES = ("latest", "all")


@dataclass(frozen=True)
class PipelineOptions:
    """`policy`: "all" processes every frame; "latest" always the newest, dropping what it displaces.

    `max_frames` ends the run after that many results; with `deliver` the results can be iterated over; `draw` paints
    the picture for sinks that need one (None: `segrt.runtime.draw.overlay`); `thinning` says which frames are
    wanted; of results only `classes` (positions in the labels) are kept, None for all; what is left goes through
    `steps`, one after the other.
    """

    policy: str = "all"
    max_frames: int | None = None
    deliver: bool = False
    draw: Draw | None = None
    thinning: Thinning = field(default_factory=Thinning)
    classes: frozenset[int] | None = None
    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise SegrtError(f"policy must be one of {', '.join(POLICIES)}, but got {self.policy!r}")
        if self.max_frames is not None and self.max_frames < 1:
            raise SegrtError(f"max_frames must be at least 1, but got {self.max_frames}")

    @property
    def newest(self) -> bool:
        """Whether newer frames displace older ones."""
        return self.policy == "latest"
