"""Lets the tests of this room import the tiny family, and adds models to the catalogue."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from segrt.export.family import Model
from segrt.export.models import catalogue

sys.path.insert(0, str(Path(__file__).resolve().parent))

AddModel = Callable[[Model, Callable[[Any], Any]], None]


@pytest.fixture
def add_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[AddModel]:
    """Registers a model from outside for one test, in the place of one that the test has added by that name.

    Its family is a module that holds nothing but the function `build` which is given.
    """
    added: set[str] = set()

    def add(model: Model, build: Callable[[Any], Any]) -> None:
        module = ModuleType(f"outside_of_segrt.{model.family}")
        module.build = build  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        if model.name in added:
            catalogue.REGISTRY.remove(model.name)
        catalogue.register(replace(model, builder=module.__name__))
        added.add(model.name)

    yield add
    for name in added:
        catalogue.REGISTRY.remove(name)


@pytest.fixture
def family(add_model: AddModel) -> Callable[..., None]:
    """Registers the model "tiny"; call it with fields of `Exportable` to spoil it."""
    from tiny_family import TINY, build

    def install(**changes: Any) -> None:
        add_model(TINY, lambda request: build(request, **changes))

    install()
    return install


@pytest.fixture(scope="session")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tiny network as ONNX, made once."""
    from tiny_family import SIZE, STRETCH, tiny

    from segrt.export.graph.tracing import trace

    return trace(tiny(resize=STRETCH), SIZE, tmp_path_factory.mktemp("traced") / "tiny.onnx", "tiny")
