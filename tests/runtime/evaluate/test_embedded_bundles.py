"""The embedded bundles are evaluated by one command on a street data set, each in its own metric."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from segrt.runtime.cli.eval import evaluate as command
from segrt.runtime.errors import SegrtError
from segrt.runtime.streetworld.moments import scattered
from segrt.runtime.streetworld.writing import write_dataset

BUNDLES = ("street-semantic", "street-instance", "street-panoptic")


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    folder = tmp_path_factory.mktemp("street")
    write_dataset(folder, scattered(700_000, 12, (192, 320)))
    return folder


def test_one_command_measures_all_three_techniques(street):
    output = street / "figures.json"
    arguments = [*BUNDLES, "--annotations", str(street / "panoptic.json"), "--json", str(output)]
    outcome = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert outcome.exit_code == 0
    runs = {run["technique"]: run for run in json.loads(output.read_text())["runs"]}
    assert [run["subject"] for run in runs.values()] == list(BUNDLES)
    assert all(run["images"] == 12 for run in runs.values())
    # Far below what the bundles reach on many frames, far above what mixed-up classes or sizes give.
    assert runs["semantic"]["metrics"]["miou"] > 0.6
    assert runs["instance"]["metrics"]["ap"] > 0.25
    assert runs["panoptic"]["metrics"]["pq"] > 0.5
    assert np.mean([value for run in runs.values() for value in run["metrics"].values() if value is not None]) < 1


def test_average_precision_ranks_all_detections_unless_a_threshold_is_given(street):
    figures = []
    for extra in ([], ["--score-threshold", "0.9"]):
        output = street / "ap.json"
        arguments = ["street-instance", "--annotations", str(street / "panoptic.json"), "--json", str(output), *extra]
        assert CliRunner().invoke(command, arguments, catch_exceptions=False).exit_code == 0
        figures.append(json.loads(output.read_text())["metrics"]["ap"])
    assert figures[0] > figures[1]


def test_a_data_set_of_other_classes_is_refused_before_the_work(street, tmp_path):
    content = json.loads((street / "panoptic.json").read_text())
    content["categories"][0]["name"] = "heaven"
    (tmp_path / "panoptic").symlink_to(street / "panoptic")
    (tmp_path / "images").symlink_to(street / "images")
    (tmp_path / "panoptic.json").write_text(json.dumps(content))
    outcome = CliRunner().invoke(command, ["street-panoptic", "--annotations", str(tmp_path / "panoptic.json")])
    assert isinstance(outcome.exception, SegrtError)
    assert "'sky'" in str(outcome.exception)
    assert "'heaven'" in str(outcome.exception)
    assert "id in data set" in outcome.output


def test_three_techniques_stand_in_one_table_and_precisions_beside_each_other(tmp_path):
    output = tmp_path / "all.json"
    arguments = [*BUNDLES, "--annotations", "street://?seed=700000&frames=4", "--as", "all", "--json", str(output)]
    outcome = CliRunner().invoke(command, [*arguments, "--precision", "fp32,fp32"], catch_exceptions=False)
    assert outcome.exit_code == 0
    assert all(name in outcome.output for name in (*BUNDLES, "miou", "ap50", "pq_stuff"))
    runs = json.loads(output.read_text())["runs"]
    assert len(runs) == 2 * (1 + 1 + 3)
    # The same variant twice drops by nothing; the panoptic bundle's instances are compared with the instance bundle's.
    again = [run for run in runs if run["subject"] == "street-semantic (fp32)"][1]
    assert set(again["drops"].values()) == {0.0}
    judged = next(run for run in runs if run["technique"] == "instance" and run.get("converted_from") == "panoptic")
    assert judged["against"] == "street-instance (fp32)"
    assert judged["drops"]["ap"] != 0.0
