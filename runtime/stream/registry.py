"""A table of names → "module:attribute", each imported only when it is used."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any


class Registry:
    """What sources or sinks there are; adding a kind is one line. Registering a name twice raises."""

    def __init__(self, what: str, entries: Mapping[str, str]) -> None:
        self._what = what
        self._entries = dict(entries)

    def add(self, name: str, target: str) -> None:
        """Register `target`, "module:attribute", under `name`; raise ValueError when the name is taken."""
        if name in self._entries:
            raise ValueError(f"{self._what} {name!r} is already registered as {self._entries[name]}")
        self._entries[name] = target

    def load(self, name: str) -> Any:
        """Import and return what is registered under `name`; raise KeyError for an unknown one."""
        module, _, attribute = self._entries[name].partition(":")
        return getattr(import_module(module), attribute)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def names(self) -> list[str]:
        """Return the names in the order of registration."""
        return list(self._entries)
