"""Adopts networks for the tests of this room, which may import its helpers."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.runtime import open_bundle
from segrt.runtime.authoring.verification import verify
from segrt.runtime.bundle.locating import read_bundle

sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture
def names(tmp_path: Path) -> str:
    """A file of three classes."""
    path = tmp_path / "names.txt"
    path.write_text("red\ngreen\nblue\n")
    return str(path)


@pytest.fixture
def one(tmp_path: Path) -> str:
    """A file of one class."""
    path = tmp_path / "one.txt"
    path.write_text("object\n")
    return str(path)


@pytest.fixture
def adopt(tiny: SimpleNamespace, tmp_path: Path, names: str) -> Callable[..., tuple[Path, list[str]]]:
    """Adopt a model with technique and options: → (folder, what was said)."""

    def call(model: Any, technique: str, **options: Any) -> tuple[Path, list[str]]:
        out = tmp_path / "adopted"
        chosen = AdoptOptions(**{"technique": technique, "labels": names, "overwrite": True, **options})
        return out, adopt_network(tiny.save(model), out, chosen)

    return call


@pytest.fixture
def adopt_and_run(tiny: SimpleNamespace, tmp_path: Path) -> Callable[..., tuple[Any, list[str], Any]]:
    """Adopt a model, run the bundle on a grey picture, verify it: → (manifest, what was said, result)."""

    def call(model: Any, size: tuple[int, int] = (64, 96), **options: Any) -> Any:
        onnx.checker.check_model(model)
        out = tmp_path / "bundle"
        said = adopt_network(tiny.save(model), out, AdoptOptions(**{"overwrite": True, **options}))
        with open_bundle(out, threads=1, backend="onnxruntime") as segmenter:
            result = segmenter(np.full((*size, 3), 90, np.uint8))
            assert all(check.passed for check in verify(segmenter))
        return read_bundle(out).manifest, said, result

    return call
