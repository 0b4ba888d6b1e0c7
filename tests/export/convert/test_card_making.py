"""The truth card that an export writes: parity, what is published, and the metric before and after."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from tiny_family import RANDOM, TINY, build

from segrt.export.convert.card_making import name_of
from segrt.export.convert.export_options import Annotations, ExportOptions
from segrt.export.convert.exporting import export_model
from segrt.export.family import Checkpoint, Weights
from segrt.export.models.catalogue import find_model
from segrt.export.models.published_metrics import PUBLISHED, published_metric
from segrt.export.weights.licences import forbids_commercial_use
from segrt.runtime import open_bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.truth_card import PublishedMetric, TruthCard
from segrt.runtime.cli import cli
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import evaluate, open_dataset
from segrt.runtime.evaluate.measuring import Options

STREETS = "street://?seed=3&frames=4&width=96&height=64"


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with five classes of the street."""
    path = tmp_path_factory.mktemp("labels") / "classes.txt"
    path.write_text("sky\nbuilding\nroad\npavement\ngrass\n")
    return str(path)


def card_of(bundle: Path) -> TruthCard:
    card = read_bundle(bundle).manifest.card
    assert isinstance(card, TruthCard)
    return card


@pytest.mark.usefixtures("family")
def test_the_card_has_parity_and_the_metric_before_and_after(classes: str, tmp_path: Path) -> None:
    on = Annotations(STREETS, common_classes=True)
    said: list[str] = []
    options = replace(RANDOM, labels=classes, precisions=("fp32", "fp16"), measure_on=on)
    done = export_model("tiny", tmp_path / "tiny", options, say=said.append)
    card = card_of(done.bundle)
    assert (card.parity, card.images, card.pictures) == ("full", 3, "synthetic")
    assert [check.what for check in card.checks] == [line.what for line in done.report.lines]
    assert card.published is None, "random weights are published by nobody"
    measured = card.measured
    assert measured is not None
    assert (measured.metric, measured.dataset, measured.images) == ("mIoU", STREETS, 4)
    assert measured.source is not None
    assert 0 < measured.source < 1
    with open_bundle(done.bundle, threads=1) as segmenter:
        again = evaluate(segmenter, open_dataset(STREETS), options=Options(common_classes=True))
    assert measured.variants["fp32"] == again.metrics["miou"]
    assert measured.variants["fp32"] == pytest.approx(measured.source, abs=2e-3)
    assert measured.variants["fp16"] == pytest.approx(measured.source, abs=2e-2)
    assert any(line.startswith("mIoU on 4 pictures") for line in said)


@pytest.mark.usefixtures("family")
def test_a_quick_export_compares_one_picture_and_says_so(tmp_path: Path) -> None:
    bundle = export_model("tiny", tmp_path / "tiny", replace(RANDOM, parity="quick")).bundle
    card = card_of(bundle)
    assert (card.parity, card.images) == ("quick", 1)
    assert len(read_bundle(bundle).manifest.golden) == 1
    shown = " ".join(CliRunner().invoke(cli, ["inspect", str(bundle)]).output.split())
    assert "one picture alone (--parity quick)" in shown


def test_what_is_published_and_what_its_licence_forbids_is_said(
    add_model: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "owner/tiny-weights"
    published = PublishedMetric("mIoU", 0.5, "VOC val", "https://example.org")
    monkeypatch.setattr(PUBLISHED, "_entries", {**PUBLISHED._entries, address: published})
    model = replace(TINY, checkpoint=Checkpoint(address, "CC-BY-NC-4.0"))
    add_model(model, lambda request: build(replace(request, weights=RANDOM.weights)))
    said: list[str] = []
    options = ExportOptions(Weights("pretrained"), threads=1)
    bundle = export_model("tiny", tmp_path / "tiny", options, say=said.append).bundle
    assert card_of(bundle).published == published
    assert "note: the licence of these weights, CC-BY-NC-4.0, forbids commercial use" in said


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        (Annotations("street://?clips=1&frames=3&width=96&height=64"), r"is of clips; give one of pictures"),
        (Annotations("missing.json"), r"missing\.json"),
    ],
)
@pytest.mark.usefixtures("family")
def test_a_data_set_that_cannot_be_measured_on_is_refused_before_the_export(
    annotations: Annotations, message: str, tmp_path: Path
) -> None:
    said: list[str] = []
    with pytest.raises(SegrtError, match=message):
        export_model("tiny", tmp_path / "tiny", replace(RANDOM, measure_on=annotations), say=said.append)
    assert not any("ONNX" in line for line in said)
    assert not (tmp_path / "tiny").exists()


def test_options_of_the_data_set_want_one(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["export", "detr-resnet50-panoptic", "--out", str(tmp_path / "b"), "--images", "."])
    assert "belong to --annotations DATA" in str(done.exception) + done.output


def test_published_metrics_are_of_weights_that_are_there_and_say_where_they_stand() -> None:
    for address in PUBLISHED:
        metric = PUBLISHED.load(address)
        assert metric.metric in ("mIoU", "mask AP", "PQ")
        assert metric.source.startswith("https://")
        assert 0.2 < metric.value < 0.9
    known = published_metric(find_model("detr-resnet101-panoptic"))
    assert known is not None
    assert (known.metric, known.value) == ("PQ", 0.451)
    as_instances = published_metric(find_model("oneformer-swin-large-coco-instance"))
    assert as_instances is not None
    assert (as_instances.metric, as_instances.value) == ("mask AP", 0.49)
    panoptic = find_model("mask2former-swin-tiny-coco-panoptic")
    assert published_metric(panoptic) is not None
    assert published_metric(replace(panoptic, technique="semantic")) is None, "PQ says nothing of classes alone"
    assert published_metric(find_model("mask2former-swin-base-coco-panoptic")) is None, "of which there are two"
    assert published_metric(find_model("deeplabv3plus-resnet50")) is None, "an encoder alone scores nothing"


def test_the_folder_that_one_stands_in_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert name_of(SimpleNamespace(path=Path())) == tmp_path.name  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("licence", "forbids"),
    [
        ("CC-BY-NC-4.0", True),
        ("NVIDIA Source Code License for SegFormer (non-commercial)", True),
        ("BSD-2-Clause for academic use; commercial use by agreement with the authors", True),
        ("Apache-2.0", False),
        ("DINOv3 License", False),
        ("not stated (detectron2's zoo is CC-BY-SA-3.0)", False),
    ],
)
def test_licences_that_forbid_commercial_use_are_known(licence: str, forbids: bool) -> None:
    assert forbids_commercial_use(licence) == forbids
