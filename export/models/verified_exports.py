"""What the project's own checks have exported, compared and built, by model: `verified.json`, which they write.

`SEGRT_VERIFIED=FILE pytest tests/export/models` writes it anew (`make zoo`). Weights are random there, for no check can
fetch all of them; what a user's export finds out about trained ones stands in its bundle's truth card.
"""

from functools import cache
from pathlib import Path

import msgspec

from segrt.export.family import Model

FILE = Path(__file__).with_name("verified.json")


class Verified(msgspec.Struct, frozen=True):
    """One export that held its family's limits.

    size (h, w) and whether the network was whole, or had fewer layers than the published one; the least agreement of
    the results with the framework's; runtimes: those that executed it or built an engine of it, with their versions;
    versions: those of the framework's packages.
    """

    weights: str
    size: tuple[int, int]
    whole: bool
    agreement: float
    runtimes: dict[str, str]
    versions: dict[str, str]


@cache
def records() -> dict[str, Verified]:
    """Return the records by the models' names; none where the file is missing."""
    return msgspec.json.decode(FILE.read_bytes(), type=dict[str, Verified]) if FILE.is_file() else {}


def write_records(path: Path, found: dict[str, Verified]) -> None:
    """Write `found` to `path`, in the order of the names."""
    text = msgspec.json.format(msgspec.json.encode(dict(sorted(found.items()))), indent=2)
    path.write_bytes(text + b"\n")


def verified(model: Model) -> Verified | None:
    """Return the record of `model` itself, or None; another size of its family may have one."""
    return records().get(model.name)
