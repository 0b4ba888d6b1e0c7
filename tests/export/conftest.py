"""Lets the tests of this room import the slow references, and add models of their own to the catalogue."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from segrt.export.family import Model
from segrt.export.models import catalogue

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

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
