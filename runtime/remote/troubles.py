"""What can go wrong between a client and a server, told apart by what helps: waiting, asking anew, or nothing."""

from dataclasses import dataclass
from typing import Literal

from segrt.runtime.errors import BackendError, BundleError, ImageError, SegrtError, one_line

Kind = Literal["away", "late", "full", "region", "final"]
_OWN: dict[str, type[SegrtError]] = {kind.__name__: kind for kind in (ImageError, BundleError, BackendError)}
_AWAY = ("UNAVAILABLE", "CANCELLED", "NOT_FOUND", "UNKNOWN")
_MOST = 300


@dataclass(frozen=True)
class Trouble:
    """Why a request has no answer, in one line.

    `away`: there is no server, or it does not serve the model at the moment; `late`: no answer in time; `full`: its
    queue takes no more; `region`: it does not know the shared memory (any more); `final`: it refuses for good, which
    `error` says.
    """

    kind: Kind
    text: str
    error: SegrtError | None = None


def trouble_of(error: BaseException) -> Trouble:
    """Return what an exception of tritonclient means for a request."""
    status = str(getattr(error, "status", lambda: "")() or "").rpartition(".")[2]
    text = " ".join(str(getattr(error, "message", lambda: error)()).split())[:_MOST]
    if "shared memory region" in text:
        return Trouble("region", text)
    if "maximum queue size" in text:
        return Trouble("full", text)
    if status == "DEADLINE_EXCEEDED":
        return Trouble("late", text)
    if status in _AWAY or "is not healthy" in text:  # the model's process, which the server starts again
        return Trouble("away", text)
    kind, colon, said = text.partition(": ")
    if colon and kind in _OWN:
        return Trouble("final", said, _OWN[kind](said))
    return Trouble("final", text, BackendError(text))


def told(error: SegrtError) -> str:
    """Return how a served model says an error, so that `trouble_of` knows its kind again."""
    kind = type(error).__name__
    return f"{kind if kind in _OWN else BackendError.__name__}: {one_line(error, 1000)}"
