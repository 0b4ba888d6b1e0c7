"""Changes to files that are whole at every moment: written aside, flushed, renamed; then the folder is flushed."""

import os
import secrets
import shutil
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Flush the names in `folder` to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below `folder`, and itself, to the disk. Links are names: their folder holds them."""
    for path in folder.rglob("*"):
        if path.is_symlink():
            continue
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    sync_folder(folder)


def write_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write `data` to `path`: a reader, or a boot after a power cut, finds the old file or the whole new one."""
    aside = _aside(path)
    try:
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:  # noqa: PTH123
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(aside, path)  # noqa: PTH105
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def set_link(link: Path, target: str) -> None:
    """Let `link` point to `target` from one moment to the next; it is never missing in between."""
    aside = _aside(link)
    os.symlink(target, aside)  # noqa: PTH211
    os.replace(aside, link)  # noqa: PTH105
    sync_folder(link.parent)


def rename(path: Path, to: Path) -> None:
    """Give a finished folder its place; both names are in one folder."""
    os.rename(path, to)  # noqa: PTH104
    sync_folder(to.parent)


def remove(path: Path) -> None:
    """Remove a file or link, for good."""
    if os.path.lexists(path):
        os.unlink(path)  # noqa: PTH108
        sync_folder(path.parent)


def remove_tree(folder: Path) -> None:
    """Remove a folder: it loses its name first, so that a half of it is never taken for the whole."""
    if not os.path.lexists(folder):
        return
    aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.removed")
    os.rename(folder, aside)  # noqa: PTH104
    sync_folder(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what earlier, interrupted work left in `folder`: hidden names that end in .partial or .removed."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name.startswith(".") and path.suffix in (".partial", ".removed"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
