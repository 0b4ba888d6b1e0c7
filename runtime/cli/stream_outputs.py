"""What `segrt stream` says of its outputs: before the run what will be kept, after it what lies there."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segrt.runtime.console.printable import say
from segrt.runtime.console.quantities import duration_text, size_text

if TYPE_CHECKING:
    from segrt.runtime.stream.sinks.sink import Sink

_PAGE = "http://127.0.0.1:0"  # any free port of this machine alone
_EXAMPLE_PAGE = "http://127.0.0.1:8080"
_MOST_LINES = 20


def sinks_of(specs: Sequence[str], *, show: bool) -> "list[str | Sink]":
    """Return the sinks of a run: those that are named, what `show` shows, `null` where there are none.

    Shown is a window where OpenCV has one and there is a screen, else a live page, whose address is printed.
    """
    sinks: list[str | Sink] = list(specs)
    if show:
        from segrt.runtime.stream.sinks.window import WindowSink, why_no_window

        reason = why_no_window()
        if reason is None:
            sinks.append(WindowSink())
        elif not any(spec.startswith("http://") for spec in specs):
            say(f"segrt: --show: {reason}; open the live page instead", err=True)
            sinks.append(_PAGE)
    return sinks or ["null"]


def refuse_edits_nowhere(sinks: "Sequence[str | Sink]") -> None:
    """Raise SegrtError for --zones-edit of a run without a live page."""
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.stream.sinks.sink_kinds import kind_of

    if not any(isinstance(sink, str) and kind_of(sink) == "http" for sink in sinks):
        raise SegrtError(f"--zones-edit: the live page is where zones are drawn, add one: --sink {_EXAMPLE_PAGE}")


def say_before(
    sinks: "Sequence[str | Sink]",
    keep: float | None,
    segment: float | None,
    named: Sequence[str],
    *,
    events: bool = False,
) -> None:
    """Say how files are cut and kept, and whether nothing will be saved; `named` are the sinks that the user gave.

    Who asks for `null` alone knows that it keeps nothing; `events` or clips of zones are kept, too.
    """
    from segrt.runtime.stream.sinks.sink_kinds import SINKS, kind_of

    if segment is not None or keep is not None:
        cut = f"a new file every {duration_text(segment)}" if segment is not None else ""
        kept = f"at most {size_text(keep)} of each sink" if keep is not None else ""
        say(f"segrt: {', '.join(filter(None, (cut, kept)))}", err=True)
    keeps = any(SINKS.load(kind_of(sink)).keeps for sink in sinks if isinstance(sink, str) and kind_of(sink) in SINKS)
    if not keeps and not events and set(named) != {"null"}:
        say("segrt: no sink saves anything; add --sink out.mp4, out.jsonl or a folder to keep the results", err=True)


def say_written(paths: Sequence[Path]) -> None:
    """Say what lies there after the run, a line each."""
    shown = paths if len(paths) <= _MOST_LINES else [*paths[: _MOST_LINES // 2], *paths[-_MOST_LINES // 2 :]]
    for number, path in enumerate(shown):
        if len(shown) < len(paths) and number == _MOST_LINES // 2:
            say(f"… {len(paths) - len(shown)} more files")
        say(f"wrote {path}/ ({_pictures(path)})" if path.is_dir() else f"wrote {path} ({_size(path)})")


def _size(path: Path) -> str:
    size = path.stat().st_size
    return size_text(size) if size < 1000 else size_text(float(f"{size:.2g}"))


def _pictures(folder: Path) -> str:
    from segrt.runtime.console.words import counted

    return counted(sum(entry.is_file() for entry in folder.rglob("*")), "picture")
