"""Refuses outputs of a stream that would replace what it reads, or each other, before anything is written."""

import re
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path

from segrt.runtime.errors import VideoError
from segrt.runtime.files.images import SUFFIXES
from segrt.runtime.outputs.output_files import check_file
from segrt.runtime.outputs.written_files import PictureFolder, WrittenFiles
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
    *,
    others: Mapping[str, WrittenFiles] | None = None,
    prunes: bool = False,
) -> None:
    """Refuse what would overwrite a source or another output: sinks, and the file that `metrics` go to.

    `infos` are those of `sources`; `others` are further outputs, by what they are called; with `prunes` sinks delete
    their oldest files. Sources and sinks that were opened elsewhere are not asked. Raises VideoError; SegrtError when
    `metrics` cannot be written.
    """
    read = [
        path.resolve()
        for source in sources
        if not isinstance(source, Source)
        for path in source_kinds.files_of(fspath(source))
    ]
    source_ids = [info.source_id for info in infos]
    named: set[Path] = set()
    written: set[Path] = set()
    folders: list[PictureFolder] = []
    rotated: list[tuple[str, Path, re.Pattern[str]]] = []
    for sink in sinks:
        if isinstance(sink, Sink):
            continue
        title = f"sink {sink}"
        files = sink_kinds.files_of(fspath(sink), source_ids)
        if files.path is not None:
            _check_file(title, files.path, read, named)
        for path in (files.path,) if files.files is None else files.files:
            if path is not None:
                _check_written(title, path, read, written)
        for pictures in files.pictures:
            _check_pictures(title, pictures, read)
            _check_other_pictures(title, pictures, folders)
        rotated += [(title, folder, names) for folder, names in files.rotated]
    for title, files in (others or {}).items():
        if files.path is not None:
            _check_file(title, files.path, read, named)
            _check_written(title, files.path, read, written)
        rotated += [(title, folder, names) for folder, names in files.rotated]
    if metrics is not None:
        title = f"--metrics {metrics}"
        _check_file(title, metrics, read, named)
        _check_written(title, metrics, read, written)
        check_file(metrics)
    for title, folder, names in rotated if prunes else ():
        _check_pruned(title, folder, names, [*read, *written])


def _check_file(title: str, path: Path, read: Sequence[Path], named: set[Path]) -> None:
    """Refuse a file that is read, a picture in a folder that is, and one that is named already; note it."""
    target = path.resolve()
    in_source_folder = target.parent in read and target.suffix.lower() in SUFFIXES and target.exists()
    if (target in read and not target.is_dir()) or in_source_folder:
        raise VideoError(f"{title}: is the source itself; write to another file")
    if target in named:
        raise VideoError(f"{title}: is given twice; leave one out")
    named.add(target)


def _check_written(title: str, path: Path, read: Sequence[Path], written: set[Path]) -> None:
    """Refuse a file, named by a sink itself perhaps, that is read or written already; note it."""
    target = path.resolve()
    if target in read and not target.is_dir():
        raise VideoError(f"{title}: would overwrite the source {path}; write to another file")
    if target in written:
        raise VideoError(f"{title}: writes {path}, as another output does; write to another file")
    written.add(target)


def _check_other_pictures(title: str, pictures: PictureFolder, others: list[PictureFolder]) -> None:
    """Refuse pictures whose names another sink gives in the same folder; note them."""
    folder = pictures.folder.resolve()
    for other in others:
        alike = other.names.fullmatch(pictures.example) or pictures.names.fullmatch(other.example)
        if other.folder.resolve() == folder and alike:
            raise VideoError(f"{title}: writes pictures of the same names into {folder} as another sink; "
                             "write to another folder")  # fmt: skip
    others.append(pictures)


def _check_pruned(title: str, folder: Path, names: re.Pattern[str], paths: Sequence[Path]) -> None:
    """Refuse to delete by --keep what others read or write."""
    for path in paths:
        if path.parent == folder.resolve() and names.fullmatch(path.name):
            raise VideoError(f"{title}: --keep would delete {path.name}, which is a source or another output; "
                             "write to another folder")  # fmt: skip


def _check_pictures(title: str, pictures: PictureFolder, read: Sequence[Path]) -> None:
    """Refuse pictures that would lie among those of a source, or take the place of one."""
    folder = pictures.folder.resolve()
    for source in read:
        if source == folder and source.is_dir():
            raise VideoError(f"{title}: writes pictures into the source's folder; write to another folder")
        if source.parent == folder and pictures.names.fullmatch(source.name):
            raise VideoError(f"{title}: may overwrite the source {source.name}; write to another folder")
