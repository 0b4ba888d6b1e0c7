"""The worked examples of docs/semantic.md, instance.md and panoptic.md are exported as they stand there."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxslim")
pytest.importorskip("transformers")

from segrt.export.convert.exporting import ExportOptions, export_model
from segrt.export.family import Weights
from segrt.export.models import catalogue
from segrt.runtime.bundle.locating import read_bundle

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXAMPLES = {
    "semantic": ("my-unet", (64, 96)),
    "instance": ("my-cells", (96, 128)),
    "panoptic": ("my-queries", (64, 96)),
}


@pytest.mark.parametrize("technique", EXAMPLES)
def test_the_worked_example_is_exported_and_equals_its_framework(
    technique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, size = EXAMPLES[technique]
    entries, family = re.findall(r"```python\n(.*?)```", (DOCS / f"{technique}.md").read_text(), re.DOTALL)
    for package in re.findall(r"^import (segmentation_models_pytorch)", family, re.MULTILINE):
        pytest.importorskip(package)
    catalogued: dict[str, Any] = {}
    exec(compile(entries, f"docs/{technique}.md", "exec"), catalogued)
    (model,) = catalogued["MODELS"]
    assert model.name == name
    model = replace(model, builder=f"segrt.export.models.{model.family}.build")  # as the catalogue does
    module = ModuleType(model.builder)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(family, f"docs/{technique}.md", "exec"), module.__dict__)
    catalogue.register(model)
    try:
        done = export_model(name, tmp_path / name, ExportOptions(Weights("random"), size=size, threads=1))
    finally:
        catalogue.REGISTRY.remove(name)
    assert max(done.report.objects) > 1
    assert read_bundle(done.bundle).manifest.technique == technique


@pytest.mark.parametrize("technique", EXAMPLES)
def test_the_pages_name_models_that_are_there(technique: str) -> None:
    page = (DOCS / f"{technique}.md").read_text()
    names = re.findall(r"^segrt export (\S+)", page, re.MULTILINE)
    assert len(names) > 2
    listed = [name for name in names if ":my-" not in name]  # a reader's own folder is not here
    assert all(catalogue.find_model(name).technique == technique for name in listed)
