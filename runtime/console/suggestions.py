"""What was meant by a name that nothing has."""

from collections.abc import Iterable
from difflib import get_close_matches

_ALIKE = 0.6


def suggestion(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that is most like `name`, None where none is; case counts for nothing."""
    plain = {known.casefold(): known for known in names}
    found = get_close_matches(name.casefold(), plain, 1, _ALIKE)
    return plain[found[0]] if found else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return "; did you mean 'NAME'?", nothing where no name is near."""
    meant = suggestion(name, names)
    return f"; did you mean {meant!r}?" if meant is not None else ""
