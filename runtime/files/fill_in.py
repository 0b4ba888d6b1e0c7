"""Fills in ${NAME} from the environment: the place of what arguments must not show, such as a camera's password."""

import os
import re

from segrt.runtime.errors import SegrtError
from segrt.runtime.files.uri import redact

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def fill_in(text: str) -> str:
    """Return `text` with the value of each ${NAME}; raise SegrtError for one that is not set."""

    def value(match: "re.Match[str]") -> str:
        name = match.group(1)
        if name not in os.environ:
            raise SegrtError(
                f"{redact(text)}: the variable {name} is not set; write {name}=... into the environment file"
            )
        return os.environ[name]

    return _VARIABLE.sub(value, text)
