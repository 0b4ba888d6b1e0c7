"""The worked examples of docs/semantic.md, instance.md and panoptic.md are exported as they stand there."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxslim")
pytest.importorskip("transformers")

from segrt.export.convert.exporting import ExportOptions, export_model
from segrt.export.family import Weights
from segrt.export.models import table
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
    family, entry = re.findall(r"```python\n(.*?)```", (DOCS / f"{technique}.md").read_text(), re.DOTALL)
    for package in re.findall(r"^import (segmentation_models_pytorch)", family, re.MULTILINE):
        pytest.importorskip(package)
    monkeypatch.setattr(table, "_MODELS", dict(table._MODELS))
    exec(entry, {"Model": table.Model, "register": table.register})
    module = ModuleType(table.find_model(name).module)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(family, f"docs/{technique}.md", "exec"), module.__dict__)
    done = export_model(name, tmp_path / name, ExportOptions(Weights("random"), size=size, threads=1))
    assert max(done.report.objects) > 1
    assert read_bundle(done.bundle).manifest.technique == technique


@pytest.mark.parametrize("technique", EXAMPLES)
def test_the_pages_name_models_that_are_there(technique: str) -> None:
    page = (DOCS / f"{technique}.md").read_text()
    names = re.findall(r"^segrt export (\S+)", page, re.MULTILINE)
    assert len(names) > 2
    assert all(table.find_model(name).technique == technique for name in names)
