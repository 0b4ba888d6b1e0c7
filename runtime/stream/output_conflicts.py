"""Where a stream writes: neither over what it reads nor over its own other files."""

import re
from collections.abc import Iterator, Sequence
from os import PathLike, fspath
from pathlib import Path
from urllib.parse import unquote, urlsplit

from segrt.runtime.errors import VideoError
from segrt.runtime.files.images import SUFFIXES
from segrt.runtime.files.uri import scheme_of
from segrt.runtime.outputs.output_files import check_file, names_of_sources
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sources.source import Source, SourceInfo
from segrt.runtime.stream.sources.source_kinds import AnySource

_PICTURES = (".jpg", ".jpeg", ".png")


def check_places(
    sources: Sequence[AnySource],
    infos: Sequence[SourceInfo],
    sinks: Sequence[str | PathLike[str] | Sink],
    metrics: Path | None = None,
) -> None:
    """Refuse what would overwrite a source or another output: sinks, and the file that `metrics` go to.

    `infos` are those of `sources`. Raises VideoError; SegrtError when `metrics` cannot be written.
    """
    read = [path.resolve() for source in sources if (path := _file_of(source)) is not None]
    written: set[Path] = set()
    for sink in sinks:
        if isinstance(sink, Sink) or not _is_place(fspath(sink)):
            continue
        _check_file(f"sink {sink}", Path(sink), read, written)
        _check_pictures(f"sink {sink}", Path(sink), read, infos)
    if metrics is not None:
        _check_file(f"--metrics {metrics}", metrics, read, written)
        check_file(metrics)


def _check_file(title: str, path: Path, read: Sequence[Path], written: set[Path]) -> None:
    """Refuse a file that is read, a picture in a folder that is, and one that is written already; note it."""
    place = path.resolve()
    among = place.parent in read and place.suffix.lower() in SUFFIXES and place.exists()
    if (place in read and not place.is_dir()) or among:
        raise VideoError(f"{title}: is the source itself; write to another file")
    if place in written:
        raise VideoError(f"{title}: is given twice; leave one out")
    written.add(place)


def _check_pictures(title: str, path: Path, read: Sequence[Path], infos: Sequence[SourceInfo]) -> None:
    """Refuse a sink whose pictures would lie among those of a source, or take the place of one."""
    for folder, names in _pictures_of(path, infos):
        for source in read:
            if source == folder and source.is_dir():
                raise VideoError(f"{title}: writes pictures into the source's folder; write to another folder")
            if source.parent == folder and names.fullmatch(source.name):
                raise VideoError(f"{title}: may overwrite the source {source.name}; write to another folder")


def _pictures_of(path: Path, infos: Sequence[SourceInfo]) -> Iterator[tuple[Path, re.Pattern[str]]]:
    """Yield each folder that a sink fills with pictures, and how those are named."""
    suffix = path.suffix.lower()
    if suffix == ".json" and not path.is_dir():
        yield path.with_suffix("").resolve(), re.compile(r"(.*-)?\d{6,}\.png")
    elif path.is_dir() or not suffix:
        for name in names_of_sources([info.source_id for info in infos]).values():
            yield (path / name).resolve(), re.compile(r"\d{6,}\.jpg")
    elif suffix in _PICTURES:
        pattern = re.sub(r"%0?\d*d", r"\\d+", re.escape(path.name))
        for name in names_of_sources([info.source_id for info in infos]).values():
            yield (path.parent / name).resolve(), re.compile(pattern)


def _is_place(sink: str) -> bool:
    return sink != "null" and scheme_of(sink) is None


def _file_of(source: AnySource) -> Path | None:
    """Return the file or folder that a source is, or None for what is neither."""
    if isinstance(source, Source):
        return None
    scheme = scheme_of(fspath(source))
    if scheme == "file":
        return Path(unquote(urlsplit(fspath(source)).path))
    return Path(source) if scheme is None else None
