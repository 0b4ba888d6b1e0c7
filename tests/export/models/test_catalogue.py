"""The catalogue says what is true of them."""

import json
import pkgutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec

import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("transformers")

from segrt.export import models
from segrt.export.convert.figures import count_parameters, measure, on_meta
from segrt.export.family import Model
from segrt.export.models import catalogue
from segrt.runtime.cli import cli
from segrt.runtime.results.labels.class_lists import NAMES

MEASURED = ("lraspp_mobilenet_v3_large", "deeplabv3_resnet50")


def is_here(model: Model) -> bool:
    return all(find_spec(name.replace("-", "_")) is not None for name in model.needs)


@pytest.mark.parametrize("model", catalogue.models(), ids=lambda model: model.name)
def test_every_entry_is_complete_and_its_parameters_are_counted(model: Model) -> None:
    assert model.labels in NAMES
    assert model.parameters > 0
    assert model.gmacs > 0
    assert model.head_bytes > 0
    assert all(side % model.multiple == 0 for side in model.size)
    if not is_here(model):
        pytest.skip(f"needs {', '.join(model.needs)}")
    assert hasattr(import_module(model.builder), "build")
    assert count_parameters(on_meta(model)) == model.parameters


@pytest.mark.parametrize("name", MEASURED)
def test_multiply_adds_and_heads_are_counted(name: str) -> None:
    model, figures = catalogue.find_model(name), measure(catalogue.find_model(name))
    assert (figures.gmacs, figures.head_bytes) == (pytest.approx(model.gmacs, rel=0.01), model.head_bytes)


@pytest.mark.prints_table("models")
def test_the_listing_names_every_model_under_its_technique(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")  # else the tables are blocks
    listed = CliRunner().invoke(cli, ["models"]).output
    as_json = json.loads(CliRunner().invoke(cli, ["models", "--json"]).output)
    assert [entry["name"] for entry in as_json] == [model.name for model in catalogue.models()]
    sections = {name: listed[listed.index(name.capitalize()) :] for name in ("semantic", "instance", "panoptic")}
    assert all(f"\n  {entry['name']} " in sections[entry["technique"]] for entry in as_json)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="is registered twice"):
        catalogue.register(catalogue.find_model(MEASURED[0]))


def test_families_are_listed_in_their_order_each_as_one_block() -> None:
    families = [model.family for model in catalogue.models()]
    blocks = [family for place, family in enumerate(families) if families[place - 1 : place] != [family]]
    assert blocks == [
        "torchvision_semantic", "panoptic_deeplab", "maskrcnn", "pixellib_maskrcnn", "solo", "solov2",
        "deeplabv3plus", "pixellib_deeplab", "segformer", "upernet",
        "pidnet", "ddrnet", "bisenetv2", "fast_scnn", "espnetv2",
        "rfdetr", "dfine_seg", "ecseg", "detr", "maskformer", "mask2former", "yoso", "eomt", "edgetam", "oneformer",
    ]  # fmt: skip


def test_every_package_of_models_is_a_family_whose_entries_carry_its_name() -> None:
    names = {found.name for found in pkgutil.iter_modules(models.__path__) if found.ispkg} - {"shared"}
    for name in names:
        family = import_module(f"segrt.export.models.{name}")
        assert {model.family for model in family.MODELS} <= {name}
        assert find_spec(f"segrt.export.models.{name}.build") is not None
    assert {model.family for model in catalogue.models()} == names - {"auto_semantic", "smp", "videomt"}  # described


@pytest.mark.parametrize("arguments", [["models"], ["models", "--json"]], ids=" ".join)
def test_models_are_listed_without_torch(arguments: list[str]) -> None:
    program = """
import sys
for name in ("torch", "torchvision", "transformers", "onnx"):
    sys.modules[name] = None  # importing it fails
from segrt.runtime.cli import main
sys.argv = ["segrt", *sys.argv[1:]]
main()
"""
    listed = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert all(model.name in listed.stdout for model in catalogue.models())
    assert listed.stderr == ""
