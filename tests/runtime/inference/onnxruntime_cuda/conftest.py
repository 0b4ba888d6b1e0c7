"""Lets the tests of this folder import the simulated provider and GPU, and gives them a bundle to open there."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.locating import read_bundle

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tensorrt")]

from cuda_sessions import put_in_place  # noqa: E402 (found by the line above)
from simulated_gpu import FakeCuda  # noqa: E402
from simulated_provider import Simulation  # noqa: E402


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch) -> Simulation:
    """The provider, on a GPU with memory of its own."""
    return put_in_place(monkeypatch, FakeCuda())


@pytest.fixture
def bundle(tiny: SimpleNamespace) -> Bundle:
    """One with two heads, classes and masks."""
    return read_bundle(tiny.bundle("merge_queries"))
