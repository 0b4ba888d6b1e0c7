"""Paths as a user types them on the command line: `~` is the home folder, and what can be no path is one line."""

import os
from pathlib import Path

from segrt.runtime.errors import SegrtError, one_line


def user_path(given: str, where: str, wanted: str) -> Path:
    """Return the path that `given` names, whether or not something is there.

    `where` names the argument in errors, `wanted` says what to give instead. Raises SegrtError for an empty name, for
    the home folder of a user that there is not, and for a name that the file system does not take or show.
    """
    if not given:
        raise SegrtError(f"{where}: names nothing; give {wanted}")
    try:
        path = Path(given).expanduser()
        os.stat(path)  # noqa: PTH116 (Path.exists passes over names that are too long in some versions)
    except (FileNotFoundError, NotADirectoryError):
        return path
    except (RuntimeError, OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else one_line(error, 80)
        raise SegrtError(f"{where[:200]}: is no path ({what}); give {wanted}") from None
    return path
