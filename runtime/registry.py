"""The one kind of table in segrt: names of things that can be added from outside, imported only when they are used."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar, cast

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Names → entries of one kind. An entry is given as itself, or as "module:attribute", which is imported on use.

    `kind` is what an entry is called in errors: "source", "backend". Adding a name twice raises ValueError.
    """

    def __init__(self, kind: str, entries: Mapping[str, Entry | str] | None = None) -> None:
        self.kind = kind
        self._entries: dict[str, Entry | str] = dict(entries or {})

    def add(self, name: str, entry: Entry | str) -> None:
        """Add `entry` under `name`; raise ValueError when the name is taken."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is already registered as {self._entries[name]}")
        self._entries[name] = entry

    def remove(self, name: str) -> None:
        """Take an entry out; raise KeyError for an unknown name."""
        del self._entries[name]

    def load(self, name: str) -> Entry:
        """Return the entry of that name, imported now where it was given as text; raise KeyError for an unknown one."""
        entry = self._entries[name]
        if not isinstance(entry, str):
            return entry
        module, _, attribute = entry.partition(":")
        return cast("Entry", getattr(import_module(module), attribute))

    def names(self) -> list[str]:
        """Return the names in the order of registration."""
        return list(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
