"""What is added from outside (a command, a backend, a metric, a kind of data set) is there in the command line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from segrt.runtime.bundle.locating import embedded_names
from segrt.runtime.cli import COMMANDS, cli
from segrt.runtime.evaluate.datasets.opening import DATASETS
from segrt.runtime.evaluate.metrics.meters import METERS
from segrt.runtime.inference.backends import BACKENDS

STREET = "street://?seed=810000&frames=20&size=96x160"
needs_bundles = pytest.mark.skipif(
    "street-semantic" not in embedded_names(), reason="the embedded bundles are not here"
)

COMMAND = """
import click

@click.command()
def greet():
    click.echo("good morning")
"""
BACKEND = """
from segrt.runtime.inference.onnxruntime import OnnxRuntimeBackend

class Borrowed(OnnxRuntimeBackend):
    name = "borrowed"
"""
METRIC = '''
from segrt.runtime.evaluate import conversion
from segrt.runtime.evaluate.evaluation import Evaluation

class VoidShare:
    """The share of pixels that no class was given."""

    technique = "semantic"
    shown = ("void_share",)
    shown_across = ("void_share",)
    verifies = False

    def __init__(self, match, options):
        self.match, self.images, self.void, self.pixels = match, 0, 0, 0

    def update(self, prediction, truth):
        classes = conversion.class_map(prediction, self.match)
        self.images += 1
        self.void += int((classes >= len(self.match.labels)).sum())
        self.pixels += classes.size

    def merge(self, other):
        self.images += other.images
        self.void += other.void
        self.pixels += other.pixels

    def result(self):
        return Evaluation("semantic", self.images, {"void_share": self.void / self.pixels, "pixels": self.pixels}, {})
'''
DATASET = """
from segrt.runtime.evaluate.datasets.dataset import DatasetKind
from segrt.runtime.evaluate.datasets.street_dataset import StreetDataset

def open_fixed(address):
    return StreetDataset(810_000, 2, (96, 160))

KIND = DatasetKind(lambda address: address.annotations == "fixed://", open_fixed)
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("command", COMMAND), ("backend", BACKEND), ("metric", METRIC), ("dataset", DATASET)):
        (tmp_path / f"outside_{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)


def run(*arguments: object) -> str:
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


@pytest.mark.usefixtures("outside")
def test_a_command_is_one_file_and_one_line_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "greet", ("outside_command:greet", "Wish a good morning."))
    assert "Wish a good morning." in run("--help")
    assert run("greet") == "good morning\n"


@pytest.fixture
def borrowed():
    BACKENDS.add("borrowed", "outside_backend:Borrowed")
    yield
    BACKENDS.remove("borrowed")


@needs_bundles
@pytest.mark.usefixtures("outside", "borrowed")
def test_a_backend_is_in_the_help_of_every_command_and_executes_when_it_is_asked_for() -> None:
    for name in ("run", "compare", "stream", "verify", "eval", "tune", "profile"):
        assert "borrowed." in " ".join(run(name, "--help").split()), name
    assert "on borrowed (cpu)" in run("verify", "street-semantic", "--backend", "borrowed")
    refused = CliRunner().invoke(cli, ["verify", "street-semantic", "--backend", "gone"])
    assert "one of tensorrt, onnxruntime, borrowed, but got 'gone'" in str(refused.exception)


@pytest.fixture
def void_share():
    METERS.add("void-share", "outside_metric:VoidShare")
    yield
    METERS.remove("void-share")


@needs_bundles
@pytest.mark.usefixtures("outside", "void_share")
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.prints_table("eval")
def test_a_metric_is_in_the_tables_and_the_json_of_its_technique(tmp_path: Path, workers: int) -> None:
    options = ("--annotations", STREET, "--workers", workers, "--json", tmp_path / "figures.json")
    table = run("eval", "street-semantic", *options)
    assert "void_share" in table
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["metrics"]["void_share"] == 0.0
    assert figures["metrics"]["pixels"] == 20 * 96 * 160
    assert 0.5 < figures["metrics"]["miou"] <= 1.0
    assert figures["images"] == 20


@needs_bundles
@pytest.mark.usefixtures("outside", "void_share")
def test_a_metric_is_in_the_table_of_all_techniques_and_leaves_the_others_alone(tmp_path: Path) -> None:
    options = ("--annotations", STREET, "--as", "all", "--json", tmp_path / "figures.json")
    assert "void_share" in run("eval", "street-panoptic", *options)
    runs = json.loads((tmp_path / "figures.json").read_text())["runs"]
    assert ["void_share" in entry["metrics"] for entry in runs] == [True, False, False]


@needs_bundles
@pytest.mark.usefixtures("outside")
def test_a_kind_of_data_set_opens_what_it_recognises() -> None:
    DATASETS.add("fixed", "outside_dataset:KIND")
    try:
        assert "semantic on street://?seed=810000&frames=2" in run(
            "eval", "street-semantic", "--annotations", "fixed://"
        )
    finally:
        DATASETS.remove("fixed")
