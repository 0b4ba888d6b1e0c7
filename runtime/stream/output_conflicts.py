"""Refuses outputs of a stream that would replace what it reads, or each other, before anything is written."""

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path

from segrt.runtime.errors import VideoError
from segrt.runtime.files.images import SUFFIXES
from segrt.runtime.outputs.output_files import check_file
from segrt.runtime.outputs.written_files import PictureFolder
from segrt.runtime.stream.sinks import sink_kinds
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sources import source_kinds
from segrt.runtime.stream.sources.source import Source, SourceInfo
from segrt.runtime.stream.sources.source_kinds import AnySource


def refuse_conflicts(
    sources: Sequence[AnySource],
    infos: Sequence[SourceInfo],
    sinks: Sequence[str | PathLike[str] | Sink],
    metrics: Path | None = None,
) -> None:
    """Refuse what would overwrite a source or another output: sinks, and the file that `metrics` go to.

    `infos` are those of `sources`. Sources and sinks that were opened elsewhere are not asked. Raises VideoError;
    SegrtError when `metrics` cannot be written.
    """
    read = [
        path.resolve()
        for source in sources
        if not isinstance(source, Source)
        for path in source_kinds.files_of(fspath(source))
    ]
    source_ids = [info.source_id for info in infos]
    written: set[Path] = set()
    for sink in sinks:
        if isinstance(sink, Sink):
            continue
        files = sink_kinds.files_of(fspath(sink), source_ids)
        if files.path is not None:
            _check_file(f"sink {sink}", files.path, read, written)
        for pictures in files.pictures:
            _check_pictures(f"sink {sink}", pictures, read)
    if metrics is not None:
        _check_file(f"--metrics {metrics}", metrics, read, written)
        check_file(metrics)


def _check_file(title: str, path: Path, read: Sequence[Path], written: set[Path]) -> None:
    """Refuse a file that is read, a picture in a folder that is, and one that is written already; note it."""
    target = path.resolve()
    in_source_folder = target.parent in read and target.suffix.lower() in SUFFIXES and target.exists()
    if (target in read and not target.is_dir()) or in_source_folder:
        raise VideoError(f"{title}: is the source itself; write to another file")
    if target in written:
        raise VideoError(f"{title}: is given twice; leave one out")
    written.add(target)


def _check_pictures(title: str, pictures: PictureFolder, read: Sequence[Path]) -> None:
    """Refuse pictures that would lie among those of a source, or take the place of one."""
    folder = pictures.folder.resolve()
    for source in read:
        if source == folder and source.is_dir():
            raise VideoError(f"{title}: writes pictures into the source's folder; write to another folder")
        if source.parent == folder and pictures.names.fullmatch(source.name):
            raise VideoError(f"{title}: may overwrite the source {source.name}; write to another folder")
