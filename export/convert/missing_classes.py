"""What is said where an installed package is too old for a family: it lacks a class, a function or a module."""

import re
from importlib.metadata import PackageNotFoundError, version

# The first release of transformers with the classes that begin so; all others are as old as what segrt asks for.
_FIRST = {"EomtDinov3": "5.1.0", "RfDetr": "5.9.0", "Sam2ImageProcessor": "5.4.0", "Videomt": "5.4.0"}
_OLDEST = "5.0.0"
_LACKS = re.compile(
    r"cannot import name '(?P<what>\w+)' from '(?P<where>[\w.]+)"
    r"|module '?(?P<module>[\w.]+)'? has no attribute '?(?P<attribute>\w+)"
    r"|No module named '(?P<missing>\w+\.[\w.]+)'"
)
_DISTRIBUTIONS = {"segmentation_models_pytorch": "segmentation-models-pytorch"}


def too_old(error: Exception) -> str | None:
    """Return what must be newer for what `error` (ImportError, AttributeError) misses; None for another reason.

    The package is installed, or it would be the package itself that is missing.
    """
    found = _LACKS.search(str(error))
    if found is None:
        return None
    where, _, what = (found["missing"] or "").rpartition(".")
    where, what = found["where"] or found["module"] or where, found["what"] or found["attribute"] or what
    package = where.partition(".")[0]
    name = _DISTRIBUTIONS.get(package, package)
    if package == "segrt":
        return None
    try:
        installed = version(name)
    except PackageNotFoundError:
        return None
    first = next((first for begin, first in _FIRST.items() if what.startswith(begin)), _OLDEST)
    if package == "transformers" and _numbers(installed) < _numbers(first):
        return f"transformers {first} or newer for {what}, but {installed} is installed; `pip install -U transformers`"
    return f"a newer {name} than {installed}, which has no {what}; `pip install -U {name}`"


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release)[:2])
