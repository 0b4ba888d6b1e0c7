"""Where outputs lie: whether a file or folder that is written to is still the one that its path names."""

import os
from contextlib import suppress
from pathlib import Path

from segrt.runtime.errors import VideoError


class Anchor:
    """Remembers which file or folder `path` names, and holds on to it so that no other one gets its inode."""

    def __init__(self, path: Path) -> None:
        """Raise OSError when there is none."""
        self._path = path
        self._handle: int | None = os.open(path, os.O_PATH | os.O_CLOEXEC)
        status = os.fstat(self._handle)
        self._identity = (status.st_dev, status.st_ino)

    def stands(self) -> bool:
        """Return whether the path still names it: it was neither deleted nor moved, and its disk is there."""
        if self._handle is None:
            return False
        try:
            status = self._path.stat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def check(self, written: str) -> None:
        """Raise VideoError unless the path still names it; `written` says what is in it."""
        if not self.stands():
            raise VideoError(
                f"{self._path}: was deleted or replaced while it was written; {written}; leave outputs where they are"
            )

    def release(self) -> None:
        """Let go of it; from then on it does not stand. Releasing twice does nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def delete_empty(path: Path) -> None:
    """Delete a file that nothing could be written into; links, devices and what cannot be deleted stay."""
    with suppress(OSError):
        if path.is_file() and not path.is_symlink():
            path.unlink()


class Disk:
    """The file system that `folder` lies on now, which may be gone later while the folder's path is still there."""

    def __init__(self, folder: Path) -> None:
        mount = folder.absolute()
        while not mount.exists():
            mount = mount.parent
        mount = mount.resolve()
        while mount.parent != mount and mount.parent.stat().st_dev == mount.stat().st_dev:
            mount = mount.parent
        self._mount = mount

    def check(self) -> None:
        """Raise VideoError while nothing is mounted where it was: what is written then would fill the disk below."""
        if not os.path.ismount(self._mount):
            raise VideoError(f"{self._mount}: the disk is not mounted there any more; mount it again")
