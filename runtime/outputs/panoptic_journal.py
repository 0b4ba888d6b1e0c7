"""The JSON of a COCO panoptic data set that grows: kept as lines until it is finished.

So months of video need no memory, and a killed process loses nothing: `finish_journals` of the next run writes the
JSON of what is there.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from segrt.runtime.files.atomic import replace_atomic
from segrt.runtime.files.json_files import encode_json
from segrt.runtime.outputs.coco_results import categories, categories_of, meant
from segrt.runtime.outputs.line_file import LineFile
from segrt.runtime.results import PanopticResult

_SUFFIX = ".unfinished.jsonl"


def journal_of(path: Path) -> Path:
    """Return the file of lines of which the JSON `path` is made."""
    return path.with_name(path.stem + _SUFFIX)


class PanopticJournal:
    """Collects the entries of `path`, a JSON, in `NAME.unfinished.jsonl` beside it."""

    def __init__(self, path: Path) -> None:
        """Take the name of the file, which is created with its first line."""
        self._path = journal_of(path)
        self._lines: LineFile | None = None
        self.pictures = 0

    def add(self, image: dict[str, Any], result: PanopticResult, png_name: str) -> None:
        """Append a picture's entry `image` and the annotation of its result; raise VideoError when that fails."""
        if self._lines is None:
            self._lines = LineFile(self._path)
        if self._lines.size == 0:
            self._lines.append(encode_json({"categories": categories(result.labels)}))
        line = {"image": image, "annotation": result.to_coco(image["id"], png_name)}
        self._lines.append(encode_json(line))
        self.pictures += 1

    def stands(self) -> bool:
        """Return whether the file of lines is still where it was."""
        return self._lines is not None and self._lines.stands()

    def reopen(self) -> None:
        """Go on behind the last complete line; raise VideoError when that fails."""
        if self._lines is not None:
            self._lines.reopen()

    def close(self) -> None:
        """Close the file of lines, as the end of the process would; `add` opens it again."""
        if self._lines is not None:
            self._lines.close()

    def finish(self) -> None:
        """Write the JSON and delete the lines; where they were moved to, they stay as they are."""
        stands = self.stands()
        if self._lines is not None:
            self._lines.release()
        if stands:
            _finish(self._path)


def finish_journals(path: Path) -> None:
    """Finish what a killed run has left of `path` and of the files that it was rotated into (NAME-00001.json, …)."""
    if not path.parent.is_dir():
        return
    left_behind = re.compile(re.escape(path.stem) + r"(-\d{5,})?" + re.escape(_SUFFIX))
    for journal in sorted(path.parent.iterdir()):
        if left_behind.fullmatch(journal.name):
            _finish(journal)


def _finish(journal: Path) -> None:
    """Turn `NAME.unfinished.jsonl` into `NAME.json` and delete it; without a line there is no JSON."""
    if journal.exists() and journal.stat().st_size > 0:
        replace_atomic(journal.with_name(journal.name[: -len(_SUFFIX)] + ".json"), _json_parts(journal))
    journal.unlink(missing_ok=True)


def _json_parts(journal: Path) -> Iterator[bytes]:
    """Yield the JSON piece by piece, a picture at a time."""
    used: set[int] = set()
    for key, start in (("image", b'{"images":['), ("annotation", b'],"annotations":[')):
        yield start
        comma = b""
        for entry in _entries(journal):
            if key in entry:
                used |= categories_of([entry[key]]) if key == "annotation" else set()
                yield comma + encode_json(entry[key])
                comma = b",\n"
    known: list[Any] = next((entry["categories"] for entry in _entries(journal) if "categories" in entry), [])
    yield b'],"categories":' + encode_json(meant(known, used)) + b"}\n"


def _entries(journal: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines in turn, those excepted that a power cut has torn."""
    with journal.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                try:
                    entry = msgspec.json.decode(line, type=dict[str, Any])
                except msgspec.DecodeError:
                    continue
                yield entry
