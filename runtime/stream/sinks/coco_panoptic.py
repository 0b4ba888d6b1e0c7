"""Panoptic results as a COCO data set: out.json beside out/*.png, which `segrt eval --predictions` and others read."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from segrt.runtime.files.atomic import make_folder, replace_atomic
from segrt.runtime.outputs.line_file import LineFile
from segrt.runtime.outputs.output_files import check_file, could_not, names_of_sources
from segrt.runtime.outputs.rotation import Segments
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.results import PanopticResult, Result
from segrt.runtime.results.coco_format import categories, encode_panoptic_png
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sinks.sink import Picture, Sink
from segrt.runtime.stream.sources.source import SourceInfo

_UNFINISHED = ".unfinished.jsonl"


class CocoPanopticSink(Sink):
    """Writes `path`, COCO's panoptic JSON, and a PNG of segment ids for each frame into the folder of its name.

    PNGs are named by the frame's index, those of several sources SOURCE-INDEX. The pictures of one folder keep their
    ids (`Frame.image_id`), as in `segrt run`; else they are numbered from 1. What belongs into the JSON is kept as
    lines in NAME.unfinished.jsonl until the file is closed, so that months of video need no memory and a killed
    process loses nothing: the next run that writes to the same place finishes the JSON first. Files are rotated as
    `SinkOptions` says.
    """

    name = "coco"
    techniques = ("panoptic",)

    def __init__(self, path: Path, options: SinkOptions | None = None) -> None:
        check_file(path)
        self._path = path
        self._segments = Segments(path, options or SinkOptions(), with_folder=True)
        self._names: dict[str, str] = {}
        self._lines: LineFile | None = None
        self._bytes = 0
        self._pictures = 0

    def open(self, sources: Sequence[SourceInfo]) -> None:
        """Finish what a killed run has left, then begin a file."""
        self._names = names_of_sources(sources)
        own = re.compile(re.escape(self._path.stem) + r"(-\d{5,})?" + re.escape(_UNFINISHED))
        for left in sorted(self._path.parent.iterdir()):
            if own.fullmatch(left.name):
                finish(left)
        self._begin()

    def reopen(self) -> None:
        """Go on behind the last complete line."""
        self._segments.prune()
        if self._lines is None:
            self._begin()
        else:
            self._lines.reopen()

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:  # noqa: ARG002
        """Write the frame's PNG, then its line."""
        assert isinstance(result, PanopticResult)
        if self._segments.due(frame.pts, self._bytes):
            self.close()
            self._begin()
            self._segments.due(frame.pts)  # notes when it begins
        assert self._lines is not None
        if self._lines.size == 0:
            self._lines.append(msgspec.json.encode({"categories": categories(result.labels)}))
        source = self._names[frame.source_id]
        name = f"{source}-{frame.index:06d}.png" if source else f"{frame.index:06d}.png"
        png = encode_panoptic_png(result.segment_ids)
        target = make_folder(self._folder) / name
        try:
            target.write_bytes(png)
        except OSError as error:
            raise could_not(target, error, f"{self._pictures} pictures are there") from error
        number = self._pictures + 1
        image_id = number if frame.image_id is None or source else frame.image_id
        image = {
            "id": image_id,
            "file_name": name,
            "height": frame.size[0],
            "width": frame.size[1],
            "source": frame.source_id,
            "pts": frame.pts,
        }
        line = {"image": image, "annotation": result.to_coco(image_id, name)}
        self._lines.append(msgspec.json.encode(line))
        self._pictures = number
        self._bytes += len(png)

    def close(self) -> None:
        """Write the JSON."""
        lines, self._lines = self._lines, None
        if lines is not None:
            lines.close()
            finish(lines.path)

    @property
    def _folder(self) -> Path:
        assert self._segments.current is not None
        return self._segments.current.with_suffix("")

    def _begin(self) -> None:
        path = self._segments.next()
        self._bytes = self._pictures = 0
        self._lines = LineFile(path.with_name(path.stem + _UNFINISHED))


def finish(lines: Path) -> None:
    """Turn `NAME.unfinished.jsonl` into `NAME.json`, line by line, and delete it; without a line there is no JSON."""
    if lines.exists() and lines.stat().st_size > 0:
        replace_atomic(lines.with_name(lines.name[: -len(_UNFINISHED)] + ".json"), _parts(lines))
    lines.unlink(missing_ok=True)


def _parts(lines: Path) -> Iterator[bytes]:
    """Yield the JSON piece by piece."""
    for key, start in (("image", b'{"images":['), ("annotation", b'],"annotations":[')):
        yield start
        comma = b""
        for entry in _entries(lines):
            if key in entry:
                yield comma + msgspec.json.encode(entry[key])
                comma = b",\n"
    known: list[Any] = next((entry["categories"] for entry in _entries(lines) if "categories" in entry), [])
    yield b'],"categories":' + msgspec.json.encode(known) + b"}\n"


def _entries(lines: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines in turn, a last one that was cut off excepted."""
    with lines.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield msgspec.json.decode(line, type=dict[str, Any])
