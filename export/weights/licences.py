"""What licences of weights keep people from: a line for the user, never a refusal."""

import re

_FORBIDS = re.compile(
    r"\bNC\b|non-?commercial|research[- ]only|research purposes|academic[- ](?:use|purposes)", re.IGNORECASE
)


def forbids_commercial_use(licence: str) -> bool:
    """Whether the name of a licence says that what it covers may not be used commercially."""
    return _FORBIDS.search(licence) is not None
