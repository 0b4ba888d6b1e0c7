"""What workers are told once: the bundle and how it is opened, where rows go, what of the sources is taken."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from segrt.runtime.decode.rule_changes import RuleChanges
from segrt.runtime.inference.execution import Execution
from segrt.runtime.scale.archive.archive_clips import Clip
from segrt.runtime.segmenter import Segmenter, find_bundle, open_segmenter


@dataclass(frozen=True)
class BundleOpening:
    """Opens the bundle of a job, in whatever process it is called."""

    bundle: str
    execution: Execution = field(default_factory=Execution)
    changes: RuleChanges = field(default_factory=RuleChanges)

    def __call__(self) -> Segmenter:
        """Return the open segmenter."""
        how = self.execution
        return open_segmenter(
            find_bundle(self.bundle),
            backend=how.backend,
            precision=how.precision,
            threads=how.threads,
            engines=how.engines,
            device=how.device,
            decode_on=how.decode_on,
            changes=self.changes,
        )


@dataclass(frozen=True)
class ArchiveJob:
    """The work that all clips have in common.

    opening: opens the bundle in a worker. out: the dataset's folder or address. digest: of the bundle's manifest, which
    each worker's must have. token: stands in the dataset's record, so that a worker knows that it sees the same folder.
    clip_seconds: the least length of a clip. every: take each so-manieth frame of a video. run: tells this run's
    unfinished files from those of others.
    """

    opening: Callable[[], Segmenter]
    bundle: str
    out: str
    digest: str
    token: str
    clip_seconds: float = 60.0
    every: int = 1
    run: str = ""


@dataclass(frozen=True)
class ClipsOutcome:
    """A file was cut."""

    clips: tuple[Clip, ...]


@dataclass(frozen=True)
class DoneOutcome:
    """A clip's rows are there: of so many frames and segments, made anew or `kept` from before."""

    frames: int
    segments: int
    kept: bool = False
    damage: str = ""


@dataclass(frozen=True)
class FailedOutcome:
    """A file or clip cannot be used; others can.

    `kind` is a word for the table of failures; `rows` are what that table is told, where it is more than that.
    """

    message: str
    kind: str = "unreadable"
    rows: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class EndOutcome:
    """Nothing more can be done: the bundle cannot be opened here, or rows cannot be written."""

    message: str


@dataclass(frozen=True)
class LostOutcome:
    """The worker is no more; `blamed` says whether what it was doing may be why."""

    message: str
    blamed: bool = True


Outcome = ClipsOutcome | DoneOutcome | FailedOutcome | EndOutcome | LostOutcome
