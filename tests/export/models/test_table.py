"""The table of models says what is true of them."""

import json
from importlib import import_module
from importlib.util import find_spec

import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("transformers")

from segrt.export.convert.figures import count_parameters, measure, on_meta
from segrt.export.models import table
from segrt.runtime.cli import cli
from segrt.runtime.results.labels.class_lists import NAMES

MEASURED = ("lraspp_mobilenet_v3_large", "deeplabv3_resnet50")


def is_here(model: table.Model) -> bool:
    return all(find_spec(name.replace("-", "_")) is not None for name in model.needs)


@pytest.mark.parametrize("model", table.models(), ids=lambda model: model.name)
def test_every_entry_is_complete_and_its_parameters_are_counted(model: table.Model) -> None:
    assert model.labels in NAMES
    assert model.parameters > 0
    assert model.gmacs > 0
    assert model.head_bytes > 0
    assert all(side % model.multiple == 0 for side in model.size)
    if not is_here(model):
        pytest.skip(f"needs {', '.join(model.needs)}")
    assert hasattr(import_module(model.module), "build")
    assert count_parameters(on_meta(model)) == model.parameters


@pytest.mark.parametrize("name", MEASURED)
def test_multiply_adds_and_heads_are_counted(name: str) -> None:
    model, figures = table.find_model(name), measure(table.find_model(name))
    assert (figures.gmacs, figures.head_bytes) == (pytest.approx(model.gmacs, rel=0.01), model.head_bytes)


def test_the_listing_names_every_model_under_its_technique() -> None:
    listed = CliRunner().invoke(cli, ["models"]).output
    as_json = json.loads(CliRunner().invoke(cli, ["models", "--json"]).output)
    assert [entry["name"] for entry in as_json] == [model.name for model in table.models()]
    sections = {name: listed[listed.index(name.capitalize()) :] for name in ("semantic", "instance", "panoptic")}
    assert all(f"    {entry['name']} " in sections[entry["technique"]] for entry in as_json)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="is registered twice"):
        table.register(table.find_model(MEASURED[0]))
