"""Names of bundles, which become parts of file names: one path component that is no hidden file."""

import os
from pathlib import Path

from segrt.runtime.errors import SegrtError

_MOST_BYTES = 128  # file names of engines add precision, batch and flavour, and end at 255


def name_problem(name: str) -> str | None:
    """Return what a bundle's name must be where `name` is not that, or None."""
    if (
        not name
        or name.startswith(".")
        or not name.isprintable()
        or "/" in name
        or "\\" in name
        or len(os.fsencode(name)) > _MOST_BYTES
    ):
        return (
            f"must be one plain file name of at most {_MOST_BYTES} bytes, without a dot in front, slashes or control "
            f"characters, but got {name[:_MOST_BYTES]!r}"
        )
    return None


def new_name(given: str | None, out: Path) -> str:
    """Return the name of a new bundle: the given one, or else its folder's; raise SegrtError for an unsafe one."""
    name = os.path.basename(os.path.abspath(out)) if given is None else given  # noqa: PTH100, PTH119 (".." has a name)
    problem = name_problem(name)
    if problem is not None:
        if given is not None:
            raise SegrtError(f"--name {problem}; choose another name")
        raise SegrtError(f"--out {out}: the bundle's name, which is the folder's, {problem}; add --name")
    return name
