"""`segrt tune --precision` makes variants, mends those that cost too much, and leaves out what cannot be mended."""

import pytest
from click.testing import CliRunner

from segrt.runtime import cli
from segrt.runtime.bundle.locating import embedded_names, read_bundle
from segrt.runtime.files.images import write_image
from segrt.runtime.streetworld import StreetWorld

STREET = "street://?seed=810000&frames=3&size=96x160"


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(6):
        write_image(folder / f"{seed}.png", StreetWorld(710_000 + seed).render(3.0, (96, 160)).image)
    return folder


def tune(*arguments):
    return CliRunner().invoke(cli.cli, ["tune", *(str(argument) for argument in arguments)])


@pytest.mark.skipif("street-semantic" not in embedded_names(), reason="the embedded bundles are not here")
@pytest.mark.prints_table("tune")
def test_variants_within_the_budget_are_written_and_the_fastest_is_the_default(tmp_path, pictures):
    out = tmp_path / "tuned"
    done = tune(
        "street-semantic", "--annotations", STREET, "--out", out, "--budget", "drop<=3",
        "--precision", "fp16,int8-cpu", "--calibration", pictures, "--threads", 1,
    )  # fmt: skip
    assert done.exit_code == 0, done.exception
    manifest = read_bundle(out).manifest
    assert {variant.precision for variant in manifest.variants} == {"fp32", "fp16", "int8-cpu"}
    assert all(f" {variant.precision} " in done.output for variant in manifest.variants)
    assert done.output.count("default") == 1
    row = next(line for line in done.output.splitlines() if line.rstrip().endswith("default"))
    assert row.split()[0] == manifest.variants[0].precision
    assert next(variant for variant in manifest.variants if variant.precision == "fp16").precision_share == 1.0


@pytest.mark.skipif("street-semantic" not in embedded_names(), reason="the embedded bundles are not here")
def test_a_variant_that_costs_too_much_is_left_out_and_named(tmp_path, pictures, monkeypatch):
    measured = []

    def figure(_bundle, _dataset, _thresholds, execution, **_):
        measured.append(execution.precision)
        return 0.8 if execution.precision == "fp32" else 0.7

    monkeypatch.setattr("segrt.export.precision.metric_budget.figure_of", figure)
    out = tmp_path / "tuned"
    done = tune(
        "street-semantic", "--annotations", STREET, "--out", out, "--budget", "drop<=9.9", "--search-steps", 2,
        "--precision", "int8", "--calibration", pictures, "--threads", 1,
    )  # fmt: skip
    assert done.exit_code == 0, done.exception
    assert "int8: mIoU 0.7000, +10.00 points below fp32" in done.output
    assert "left out: int8: 10.00 points of mIoU below fp32 on street://" in done.output
    assert "(may be 9.9); the search for layers to keep ended after 2 runs, before a choice was enough" in done.output
    assert 'or allow more: --budget "drop<=10' in done.output
    assert [variant.precision for variant in read_bundle(out).manifest.variants] == ["fp32"]
    assert measured[:2] == ["fp32", "int8"]


def test_precisions_need_a_budget_and_int8_needs_pictures(tmp_path):
    common = ["street-semantic", "--annotations", STREET, "--out", tmp_path / "x", "--precision", "int8"]
    assert "--precision and --calibration go with a budget" in str(tune(*common).exception)
    assert "int8 needs pictures to calibrate with" in str(tune(*common, "--budget", "drop<=1").exception)
    wrong = [*common[:-1], "int4", "--budget", "drop<=1"]
    assert "--precision int4: there is no such variant" in str(tune(*wrong).exception)
