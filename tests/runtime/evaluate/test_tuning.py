"""`segrt tune` finds better thresholds, keeps the bundle it came from, and writes one that verifies."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from segrt.runtime.authoring.rewriting import rewrite
from segrt.runtime.bundle.locating import embedded_names, read_bundle
from segrt.runtime.cli.eval import evaluate
from segrt.runtime.cli.tune import tune
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.tuning import VariantFigures, _best_threshold, fastest_within, parse_budget

STREET = "street://?seed=810000&frames=4&size=96x160"


def run(command, *arguments):
    outcome = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert outcome.exit_code == 0, outcome.exception
    return outcome.output


def measured(bundle, output):
    run(evaluate, bundle, "--annotations", STREET, "--json", output)
    return json.loads(output.read_text())["metrics"]


@pytest.mark.skipif("street-panoptic" not in embedded_names(), reason="the embedded bundles are not here")
def test_a_tuned_bundle_has_a_higher_pq_and_verifies(tmp_path):
    out = tmp_path / "tuned"
    untuned = rewrite(read_bundle("street-panoptic"), tmp_path / "untuned", {"score_threshold": 0.97})
    before = read_bundle(untuned).manifest
    output = run(tune, untuned, "--annotations", STREET, "--out", out, "--budget", "drop<=1")
    assert "default" in output
    after = read_bundle(out).manifest
    assert read_bundle(untuned).manifest == before
    assert after.variants == before.variants
    assert after.decode.score_threshold < 0.97
    better, own = measured(out, tmp_path / "a.json"), measured(untuned, tmp_path / "b.json")
    assert better["pq"] > own["pq"] + 0.01
    refused = CliRunner().invoke(tune, ["street-panoptic", "--annotations", STREET, "--out", str(out)])
    assert "is already there" in str(refused.exception)


@pytest.mark.skipif("street-instance" not in embedded_names(), reason="the embedded bundles are not here")
def test_an_instance_bundle_gets_the_threshold_of_the_best_f1(tmp_path):
    output = run(tune, "street-instance", "--annotations", STREET, "--out", tmp_path / "tuned")
    assert "f1" in output
    assert 0 < read_bundle(tmp_path / "tuned").manifest.decode.score_threshold < 1
    refused = CliRunner().invoke(tune, ["street-semantic", "--annotations", STREET, "--out", str(tmp_path / "x")])
    assert "has no thresholds to tune" in str(refused.exception)


def test_the_best_threshold_is_that_of_every_possible_one():
    random = np.random.default_rng(4)
    for _ in range(20):
        scores = random.integers(0, 12, 30) / 12
        hits = random.random(30) < scores
        wanted = int(hits.sum()) + 5
        tuned = _best_threshold(scores, hits, wanted, 0.5)
        tried = [float(t) for t in np.linspace(-0.01, 1, 500)]
        figures = [2 * hits[scores > t].sum() / ((scores > t).sum() + wanted) for t in tried]
        assert tuned.figure == pytest.approx(max(figures))
        kept = scores > tuned.thresholds["score_threshold"]
        assert tuned.figure == pytest.approx(2 * hits[kept].sum() / (kept.sum() + wanted))
        assert tuned.before <= tuned.figure


def test_the_fastest_variant_within_the_budget_is_chosen():
    found = [
        VariantFigures("fp32", 0.8, 0.0, 10.0),
        VariantFigures("fp16", 0.797, 0.3, 6.0),
        VariantFigures("int8", 0.78, 2.0, 3.0),
    ]
    assert fastest_within(found, parse_budget("drop<=0.5")).precision == "fp16"
    assert fastest_within(found, parse_budget("drop <= 2")).precision == "int8"
    assert fastest_within(found, parse_budget("drop<=0")).precision == "fp32"
    for text in ("0.5", "drop<0.5", "drop<=x"):
        with pytest.raises(SegrtError, match=r"cannot be read; write drop<=0\.5"):
            parse_budget(text)
