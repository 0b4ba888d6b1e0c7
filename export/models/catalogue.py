"""All models that can be exported: the entries of every family package, and those that are registered from outside.

It is read without torch. A family is a package beside this file whose `MODELS` are its entries, in the order in which
they are listed; families stand in the order of their `POSITION`, those without one behind the others.
"""

import difflib
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from segrt.export.family import Model
from segrt.export.models.auto_semantic import hub_entry
from segrt.export.models.shared import query_entry
from segrt.export.models.shared.hub_network import PREFIX as HUGGING_FACE
from segrt.export.models.shared.hub_network import read_network
from segrt.export.models.smp import smp_entry
from segrt.runtime.errors import SegrtError
from segrt.runtime.registry import Registry

_SHARED = "shared"  # the one package here that is no family
_LAST = 1 << 16

REGISTRY: Registry[Model] = Registry("model")


def _of_hugging_face(name: str) -> Model:
    """Return the entry of a network of transformers: hf:ORGANISATION/NAME, hf:FOLDER, or with a technique before."""
    network = read_network(name)
    return query_entry.entry(network) if query_entry.has_queries(network) else hub_entry.entry(network)


_DESCRIBED: dict[str, Callable[[str], Model]] = {
    HUGGING_FACE: _of_hugging_face,
    smp_entry.PREFIX: smp_entry.describe,
}
"""What makes the entry of a network that has none, by the beginning of its name."""


def register(model: Model) -> None:
    """Add `model`, whose `builder` names the module of its family; raise ValueError when its name is taken."""
    if model.name in REGISTRY:
        raise ValueError(f"model {model.name!r} is registered twice")
    REGISTRY.add(model.name, model)


def models() -> tuple[Model, ...]:
    """Return all models: segrt's own by family, then those that were registered since."""
    return tuple(REGISTRY.load(name) for name in REGISTRY)


def find_model(name: str) -> Model:
    """Return the model of that name; "hf:" and "smp:" name networks that have no entry (see their `describe`).

    Raises SegrtError with the nearest names when there is none.
    """
    if name in REGISTRY:
        return REGISTRY.load(name)
    described = next((describe(name) for prefix, describe in _DESCRIBED.items() if name.startswith(prefix)), None)
    if described is not None:
        return replace(described, builder=f"segrt.export.models.{described.family}.build")
    near = difflib.get_close_matches(name, REGISTRY.names(), n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else "`segrt models` lists them"
    raise SegrtError(f"there is no model {name!r}; {hint}")


def _register_families() -> None:
    """Register the models of every family package beside this file."""
    names = [package.name for package in pkgutil.iter_modules([str(Path(__file__).parent)]) if package.ispkg]
    families = [import_module(f"segrt.export.models.{name}") for name in names if name != _SHARED]
    for family in sorted(families, key=lambda family: getattr(family, "POSITION", _LAST)):
        for model in family.MODELS:
            register(replace(model, builder=f"{family.__name__}.build"))


_register_families()
