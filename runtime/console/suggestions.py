"""What was meant by a name that nothing has."""

from collections.abc import Iterable

_ALIKE = 0.6
_LEAST_BEGINNING = 3


def suggestion(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that is most like `name`, or begins with it; None where none does. Case is ignored."""
    plain = {known.casefold(): known for known in names}
    if len(name.strip("-")) >= _LEAST_BEGINNING:
        begun = [known for plainly, known in plain.items() if plainly.startswith(name.casefold())]
        if begun:
            return begun[0]
    from difflib import get_close_matches

    found = get_close_matches(name.casefold(), plain, 1, _ALIKE)
    return plain[found[0]] if found else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return "; did you mean 'NAME'?", nothing where no name is near."""
    meant = suggestion(name, names)
    return f"; did you mean {meant!r}?" if meant is not None else ""
