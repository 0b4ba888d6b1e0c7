"""The one door to pyarrow, which is an extra: what it lacks is said in one line."""

from importlib import import_module
from typing import Any

from segrt.runtime.errors import SegrtError


def arrow(module: str = "") -> Any:
    """Return pyarrow, or its module of that name ("fs"); raise SegrtError that says what to install."""
    name = f"pyarrow.{module}" if module else "pyarrow"
    try:
        return import_module(name)
    except ImportError as error:
        raise SegrtError(
            f"archives need {error.name or name} (`pip install 'segrt[archive]'`), built with the file systems "
            "that their addresses name"
        ) from None
