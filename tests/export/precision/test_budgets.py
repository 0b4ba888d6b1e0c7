"""`segrt quantize --annotations` judges variants by their metric, and says what it costs and how to allow it."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from segrt.export.bundling import GoldenPicture, VariantFile, write_bundle
from segrt.runtime import cli, open_bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import CheckFailed
from segrt.runtime.files.images import read_image, write_image


@pytest.fixture
def bundle(network: Any, pictures: Any, saved: Any, make_chain: Any, tmp_path: Path) -> Path:
    """A bundle whose int8 costs something, without a layer that could be mended."""
    model = saved(make_chain(outlier=True, clipped=True))
    golden = [GoldenPicture("first", pictures[0])]
    write_bundle(tmp_path / "source", network, [VariantFile("fp32", model)], golden, threads=1)
    return tmp_path / "source"


@pytest.fixture
def truth(bundle: Path, pictures: Any, tmp_path: Path) -> list[str]:
    """Two pictures, and what the float32 network says of them as their label pictures."""
    with open_bundle(bundle, threads=1) as segmenter:
        for index, picture in enumerate(pictures[:2]):
            for kind, content in (("images", picture), ("labels", segmenter(picture).class_map.astype(np.uint8))):  # type: ignore[union-attr]
                (tmp_path / kind).mkdir(exist_ok=True)
                write_image(tmp_path / kind / f"{index}.png", content)
    return ["--annotations", str(tmp_path / "labels"), "--images", str(tmp_path / "images")]


def quantize(bundle: Path, calibration: Path, *arguments: Any) -> Result:
    """Run the command without a search for layers to keep."""
    given = ["quantize", bundle, "--threads", 1, "--search-steps", 0, "--calibration", calibration, *arguments]
    return CliRunner().invoke(cli.cli, [str(argument) for argument in given])


@pytest.mark.prints_table("quantize")
def test_a_variant_that_costs_too_much_is_refused_with_the_figure_and_the_advice_works(
    bundle: Path, calibration: Path, truth: list[str], tmp_path: Path
) -> None:
    done = quantize(bundle, calibration, *truth, "--precision", "fp16,int8", "--out", tmp_path / "out")
    assert isinstance(done.exception, CheckFailed)
    assert f"fp32: mIoU 1.0000 on {truth[1]}" in done.output
    said = str(done.exception)
    found = re.search(
        r"int8: (\d+\.\d\d) points of mIoU below fp32 on \S+ \(may be 1\); .*leave int8 out, .*, or allow more: "
        r"`segrt quantize --drop (\S+)`$",
        said,
    )
    assert found is not None, said
    assert 1 < float(found[1]) <= float(found[2]) <= float(found[1]) + 0.02
    assert [variant.precision for variant in read_bundle(tmp_path / "out").manifest.variants] == ["fp32", "fp16"]
    assert "judged by mIoU on" in done.output
    again = quantize(bundle, calibration, *truth, "--precision", "int8", "--drop", found[2], "--out", tmp_path / "more")
    assert again.exit_code == 0, again.exception
    assert [variant.precision for variant in read_bundle(tmp_path / "more").manifest.variants] == ["fp32", "int8"]


@pytest.mark.prints_table("quantize")
def test_without_annotations_it_is_said_that_no_metric_is_known(
    bundle: Path, calibration: Path, tmp_path: Path
) -> None:
    done = quantize(bundle, calibration, "--precision", "fp16", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.exception
    assert "which tells no mIoU: --annotations DATA measures what a variant costs" in done.output


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--drop", "1"], "--drop: is what --annotations DATA measures; give it, too"),
        (["--map", "a=b"], "belong to --annotations DATA; give it, too"),
        (["--images", "x"], "belong to --annotations DATA; give it, too"),
        (["--agreement", "0.9"], "say with --drop what it may cost"),
    ],
)
def test_options_that_need_each_other_are_asked_for(
    bundle: Path, calibration: Path, truth: list[str], tmp_path: Path, given: list[str], message: str
) -> None:
    data = truth if "--agreement" in given else []
    done = quantize(bundle, calibration, "--precision", "int8", "--out", tmp_path / "out", *given, *data)
    assert message in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_data_on_which_float32_finds_nothing_judge_no_variant(
    bundle: Path, calibration: Path, truth: list[str], tmp_path: Path
) -> None:
    for path in (tmp_path / "labels").iterdir():
        write_image(path, np.full_like(read_image(path)[..., 0], 255))
    given = [*truth, "--ignore-label", "255", "--out", tmp_path / "out"]
    done = quantize(bundle, calibration, "--precision", "int8", *given)
    assert "fp32 has no mIoU above 0 on it, by which no variant can be judged" in str(done.exception)
