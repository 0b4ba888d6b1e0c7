"""All models that can be exported: the entries of every family package, and those that are registered from outside.

It is read without torch. A family is a package beside this file whose `MODELS` are its entries, in the order in which
they are listed; families stand in the order of their `POSITION`, those without one behind the others.
"""

import difflib
import pkgutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from segrt.export.family import Model
from segrt.runtime.errors import SegrtError
from segrt.runtime.registry import Registry

_SHARED = "shared"  # the one package here that is no family
_LAST = 1 << 16

REGISTRY: Registry[Model] = Registry("model")


def register(model: Model) -> None:
    """Add `model`, whose `builder` names the module of its family; raise ValueError when its name is taken."""
    if model.name in REGISTRY:
        raise ValueError(f"model {model.name!r} is registered twice")
    REGISTRY.add(model.name, model)


def models() -> tuple[Model, ...]:
    """Return all models: segrt's own by family, then those that were registered since."""
    return tuple(REGISTRY.load(name) for name in REGISTRY)


def find_model(name: str) -> Model:
    """Return the model of that name, "hf:" before a repository of the Hugging Face hub or a folder for one beside it.

    Raises SegrtError with the nearest names when there is none.
    """
    if name in REGISTRY:
        return REGISTRY.load(name)
    if name.startswith("hf:"):
        from segrt.export.models.auto_semantic.hub_entry import describe

        return replace(describe(name), builder="segrt.export.models.auto_semantic.build")
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
