"""The truth card: kept in the manifest, shown by inspect, and not asked of bundles that have none."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import msgspec
from click.testing import CliRunner

from segrt.runtime.authoring.rewriting import rewrite
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.manifest import Parity
from segrt.runtime.bundle.manifest_parsing import dump_manifest, parse_manifest
from segrt.runtime.bundle.truth_card import MeasuredMetric, ParityCheck, PublishedMetric, TruthCard
from segrt.runtime.cli import cli

CARD = TruthCard(
    "full",
    3,
    "synthetic",
    (ParityCheck("logits", "largest error 2e-5", "0.001 + 0.001·|x|"), ParityCheck("result", "100 % agree", "99 %")),
    PublishedMetric("mIoU", 0.664, "COCO val2017", "https://example.org/models"),
    MeasuredMetric("mIoU", "street.json", 40, 0.8125, {"fp32": 0.8124, "fp16": None, "int8": 0.8125}),
)


def with_card(card: TruthCard | msgspec.UnsetType, folder: Path) -> Path:
    """Copy an embedded bundle to `folder`, with `card` in its manifest."""
    bundle = read_bundle("street-semantic")
    shutil.copytree(bundle.folder, folder)
    (folder / "manifest.json").write_bytes(dump_manifest(msgspec.structs.replace(bundle.manifest, card=card)))
    return folder


def test_a_card_is_read_as_it_was_written_and_one_that_is_not_there_is_not_written(tmp_path: Path) -> None:
    folder = with_card(CARD, tmp_path / "card")
    assert read_bundle(folder).manifest.card == CARD
    plain = dump_manifest(read_bundle("street-semantic").manifest)
    assert b"card" not in plain
    assert parse_manifest(plain, "manifest.json").card is msgspec.UNSET


def test_inspect_shows_the_card(tmp_path: Path) -> None:
    folder = with_card(CARD, tmp_path / "card")
    shown = CliRunner().invoke(cli, ["inspect", str(folder)]).output
    flat = " ".join(shown.split())
    assert "Truth card: compared with the source framework on 3 pictures" in flat
    assert "largest error 2e-5" in flat
    assert "mIoU 66.4% on COCO val2017 (https://example.org/models)" in flat
    assert "mIoU on 40 pictures of street.json, before and after" in flat
    assert "81.25%" in flat
    assert "-0.01" in flat
    assert "+0.00" in flat
    assert "-0.00" not in flat
    assert "nothing to measure" in flat
    listed = json.loads(CliRunner().invoke(cli, ["inspect", str(folder), "--json"]).output)
    assert listed["manifest"]["card"]["measured"]["variants"] == {"fp32": 0.8124, "fp16": None, "int8": 0.8125}
    assert "Truth card" not in CliRunner().invoke(cli, ["inspect", "street-semantic"]).output


def test_a_quick_card_says_that_one_picture_was_compared(tmp_path: Path) -> None:
    quick = msgspec.structs.replace(CARD, parity="quick", images=1, published=None, measured=None)
    flat = " ".join(CliRunner().invoke(cli, ["inspect", str(with_card(quick, tmp_path / "card"))]).output.split())
    assert "on one picture alone (--parity quick)" in flat
    assert "not known here" in flat
    assert "was not measured" in flat


def test_other_thresholds_keep_no_figure_of_results(tiny: SimpleNamespace, tmp_path: Path) -> None:
    folder = tiny.bundle("query_instances")
    bundle = read_bundle(folder)
    parity = Parity(3, 0.999)
    variants = tuple(msgspec.structs.replace(variant, parity=parity) for variant in bundle.manifest.variants)
    carded = msgspec.structs.replace(bundle.manifest, card=CARD, variants=variants)
    (folder / "manifest.json").write_bytes(dump_manifest(carded))
    same = read_bundle(rewrite(read_bundle(folder), tmp_path / "same", {}, threads=1)).manifest
    assert (same.card, same.variants[0].parity) == (CARD, parity)
    other = read_bundle(rewrite(read_bundle(folder), tmp_path / "other", {"score_threshold": 0.4}, threads=1)).manifest
    assert other.card == msgspec.structs.replace(CARD, checks=CARD.checks[:1], measured=None)
    assert other.variants[0].parity is None
