"""The registered backends, sources and sinks, and what each of them says that it needs."""

import sys
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from segrt.runtime.errors import one_line
from segrt.runtime.registry import Registry
from segrt.runtime.stream.needs import Needs

_MODULES = (
    "segrt.runtime.inference.backends",
    "segrt.runtime.stream.sources.source_kinds",
    "segrt.runtime.stream.sinks.sink_kinds",
)
Answer = dict[str, dict[str, Any]]
"""Kind ("sink mqtt") → the fields of `Kind` that it has: `origin` and `needs`, or `error`; as JSON."""


@dataclass(frozen=True)
class Kind:
    """A kind of backend, source or sink: "sink mqtt" is its `name`, `origin` the class, `error` why it does not load.

    `added` says that it is none of segrt's own; `needs` is None where segrt's own packages are enough.
    """

    name: str
    origin: str = ""
    error: str = ""
    added: bool = False
    needs: Needs | None = None


def all_kinds() -> Answer:
    """Load and describe every kind that is registered in this process."""
    return _described(())


def added_kinds(known: Container[str]) -> Answer:
    """Load and describe the kinds that are registered in this process beyond the `known` ones."""
    if not any(name in sys.modules for name in _MODULES):
        return {}  # to a registry that was never imported nothing was added
    return _described(known)


def kinds_in(answer: Mapping[str, Mapping[str, Any]], *, added: bool) -> tuple[Kind, ...]:
    """Return the kinds of an answer of `all_kinds` or `added_kinds`."""
    return tuple(
        Kind(name, described.get("origin", ""), described.get("error", ""), added, _needs(described.get("needs")))
        for name, described in answer.items()
    )


def _needs(described: Mapping[str, Any] | None) -> Needs | None:
    if described is None:
        return None
    return Needs(described["feature"], tuple(described["packages"]), described["extra"])


def _described(known: Container[str]) -> Answer:
    from segrt.runtime.inference.backends import BACKENDS
    from segrt.runtime.stream.sinks.sink_kinds import SINKS
    from segrt.runtime.stream.sources.source_kinds import SOURCES

    registries: tuple[Registry[Any], ...] = (BACKENDS, SOURCES, SINKS)
    names = {f"{registry.kind} {name}": (registry, name) for registry in registries for name in registry}
    return {title: _describe(*entry) for title, entry in names.items() if title not in known}


def _describe(registry: Registry[Any], name: str) -> dict[str, Any]:
    try:
        kind = registry.load(name)
    except Exception as error:  # whatever a broken installation raises is the answer
        return {"error": one_line(error)}
    described: dict[str, Any] = {
        "origin": f"{kind.__module__}:{getattr(kind, '__qualname__', type(kind).__qualname__)}"
    }
    needs = getattr(kind, "needs", None)
    return described if needs is None else described | {"needs": asdict(needs)}
