"""--classes: which classes of a bundle a result keeps."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from segrt.runtime.results import Label

CLASSES = click.option(
    "--classes",
    multiple=True,
    metavar="NAME,…",
    help="Keep these classes alone, comma-separated or repeated; the others count as not found.",
)


def class_ids(
    classes: Sequence[str], labels: "Sequence[Label]", bundle: str, *, option: str = "--classes"
) -> frozenset[int] | None:
    """Return the positions in `labels` of the classes that are named, None where none is; of one name all.

    A text that is a class's name as a whole is one, commas included. Raises SegrtError for a name that no class has.
    """
    from segrt.runtime.console.suggestions import did_you_mean
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.results.class_choice import ids_of_name, some_names

    if not classes:
        return None
    wanted = []
    for text in classes:
        whole = ids_of_name(text.strip(), labels)
        wanted += [text] if whole else [part for part in text.split(",") if part.strip()]
    if not wanted:
        raise SegrtError(f"{option}: is empty; name classes of {bundle}, {some_names(labels)} for instance")
    chosen: set[int] = set()
    for name in (text.strip() for text in wanted):
        ids = ids_of_name(name, labels)
        if not ids:
            meant = did_you_mean(name, [label.name for label in labels]) or _instead(name, labels)
            raise SegrtError(f"{option} {name}: {bundle} has no such class{meant}")
        chosen |= ids
    return frozenset(chosen)


def _instead(name: str, labels: "Sequence[Label]") -> str:
    if name.isdecimal() and int(name) < len(labels):
        return f"; classes are named: the one at position {int(name)} is {labels[int(name)].name!r}"
    from segrt.runtime.results.class_choice import some_names

    return f"; it has {some_names(labels)}"
