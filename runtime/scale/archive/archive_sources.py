"""Finds the files that a user names: files, folders with all below them, patterns, here or behind addresses."""

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Any

from segrt.runtime.errors import SegrtError
from segrt.runtime.files.finding import VIDEOS
from segrt.runtime.files.images import SUFFIXES
from segrt.runtime.files.json_files import readable
from segrt.runtime.files.reading import exists, is_folder
from segrt.runtime.files.uri import redact, scheme_of
from segrt.runtime.scale.archive.archive_clips import Kind, SourceFile
from segrt.runtime.scale.archive.arrow_library import arrow
from segrt.runtime.scale.archive.file_systems import Opened, open_address, reason_of_arrow


@dataclass(frozen=True)
class Found:
    """The files, each once, and how many in folders are of other kinds."""

    files: tuple[SourceFile, ...]
    others: int


def find_sources(sources: Iterable[str]) -> Found:
    """Return the pictures and videos that `sources` name, in order, those of a folder by their names.

    A source is a file of any suffix, a folder (all below it; what is hidden is left out), a pattern ("cams/**/*.mp4"),
    or an address of one of these (s3://BUCKET/cams/*.mp4; options stand behind a "?"). Raises SegrtError for one that
    is missing or without any.
    """
    files: dict[str, SourceFile] = {}
    others = 0
    for source in sources:
        listed = list(_remote(source) if _is_remote(source) else _local(source))
        taken = [file for file in listed if file is not None]
        if not taken:
            what = "matches no" if glob.has_magic(source) else "holds no"
            raise SegrtError(f"{redact(source)}: {what} picture or video; give another folder or pattern")
        others += len(listed) - len(taken)
        files.update((file.name, file) for file in taken if file.name not in files)
    return Found(tuple(files.values()), others)


def kind_of(name: str, *, named: bool) -> Kind | None:
    """Return what a file is by its suffix; what was named itself and is no picture is taken for a video."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in SUFFIXES:
        return "picture"
    return "video" if named or suffix in VIDEOS else None


def _is_remote(source: str) -> bool:
    return scheme_of(source) is not None and not exists(Path(source))


def _local(source: str) -> Iterator[SourceFile | None]:
    path = Path(source)
    if is_folder(path):
        yield from (_of_path(inner, named=False) for inner in _below(os.path.abspath(source)))  # noqa: PTH100
    elif exists(path):
        yield _of_path(os.path.abspath(source), named=True)  # noqa: PTH100
    elif glob.has_magic(source):
        for match in sorted(glob.glob(os.path.abspath(source), recursive=True)):  # noqa: PTH100, PTH207
            if not is_folder(Path(match)):
                yield _of_path(match, named=False)
    else:
        raise SegrtError(f"{source}: there is no such file or folder; check the path")


def _below(folder: str) -> Iterator[str]:
    """Yield the files below a folder by their names; those that are hidden, and folders that are, are left out."""
    for inner, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(inner, name) for name in sorted(names) if not name.startswith("."))  # noqa: PTH118


def _of_path(path: str, *, named: bool) -> SourceFile | None:
    kind = kind_of(path, named=named)
    if kind is None:
        return None
    try:
        status = Path(path).stat()
        size, modified = (status.st_size, status.st_mtime_ns) if S_ISREG(status.st_mode) else (0, 0)
    except OSError:  # whoever reads it says why it cannot be
        size, modified = 0, 0
    return SourceFile("", path, readable(path), kind, size, modified)


def _remote(source: str) -> Iterator[SourceFile | None]:
    root, pattern = _root_of(source)
    opened = open_address(root)
    if opened.is_local:
        yield from _local(f"{opened.path.rstrip('/')}/{pattern}" if pattern else opened.path)
        return
    fs = arrow("fs")
    try:
        info = opened.system.get_file_info(opened.path)
        if info.type == fs.FileType.NotFound:
            raise SegrtError(f"{redact(source)}: there is no such file or folder; check the address")
        if info.is_file:
            yield _of_info(root, opened, info, named=True)
            return
        below = opened.system.get_file_info(fs.FileSelector(opened.path, recursive=True))
    except OSError as error:
        raise SegrtError(
            f"{redact(source)}: cannot be listed ({reason_of_arrow(error, source)}); check the address and its keys"
        ) from None
    matches = _matcher(pattern) if pattern else None
    base = len(opened.path.rstrip("/")) + 1
    for entry in sorted((entry for entry in below if entry.is_file), key=lambda entry: str(entry.path)):
        inner = entry.path[base:]
        if any(part.startswith(".") for part in inner.split("/")) or (matches and not matches.fullmatch(inner)):
            continue
        yield _of_info(root, opened, entry, named=False)


def _of_info(root: str, opened: Opened, info: Any, *, named: bool) -> SourceFile | None:
    kind = kind_of(info.path, named=named)
    if kind is None:
        return None
    return SourceFile(root, info.path, opened.prefix + info.path, kind, info.size or 0, info.mtime_ns or 0)


def _root_of(source: str) -> tuple[str, str]:
    """Return the address of the folder above the first pattern, with its options, and the pattern below it or ""."""
    path, question, options = source.partition("?")
    scheme, _, rest = path.partition("://")
    parts = rest.split("/")
    place = next((place for place, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return f"{scheme}://{'/'.join(parts[:place])}{question}{options}", "/".join(parts[place:])


def _matcher(pattern: str) -> re.Pattern[str]:
    """Return what matches paths below a folder as glob does: "*" within a name, "**/" any folders."""
    text = ""
    for token in re.findall(r"\*\*/|\*\*|\*|\[!?[^\]]+\]|.", pattern):
        if token.startswith("**"):
            text += r"(?:[^/]+/)*" if token.endswith("/") else r".*"
        elif token == "*":
            text += r"[^/]*"
        elif token.startswith("[") and len(token) > 1:
            text += token.replace("[!", "[^", 1)
        else:
            text += re.escape(token)
    try:
        return re.compile(text)
    except re.error as error:
        raise SegrtError(f"{pattern}: is no pattern ({error}); give one such as **/*.mp4") from None
