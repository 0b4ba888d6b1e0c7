"""Variants are what they claim, agree with float32, and are mended by keeping the layer that is at fault."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from segrt.export.bundling import GoldenPicture, Network, VariantFile, write_bundle
from segrt.export.precision import speed, variant_maker
from segrt.export.precision.calibration import calibration_files
from segrt.export.precision.speed import Speed
from segrt.export.precision.switchable_network import SwitchableNetwork
from segrt.export.precision.variant_options import VariantOptions
from segrt.export.precision.variants import make_variants
from segrt.runtime import cli, open_bundle
from segrt.runtime.bundle.locating import embedded_names, read_bundle
from segrt.runtime.bundle.manifest import Source
from segrt.runtime.decode.binary import Binary
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.errors import CheckFailed, SegrtError
from segrt.runtime.preprocess.input_spec import InputSpec
from segrt.runtime.results import Label
from segrt.runtime.results.labels.class_lists import with_background
from segrt.runtime.streetworld import StreetWorld


@pytest.fixture
def make(network, pictures, calibration, saved, tmp_path):
    """Make variants of a model: → (list of ConvertedVariant, lines that were said)."""

    def call(model, *precisions, **options):
        said = []
        chosen = VariantOptions(
            **{"calibration": calibration_files(calibration), "pictures": pictures, "threads": 1, **options}
        )
        return make_variants(saved(model), precisions, network, folder=tmp_path, say=said.append, options=chosen), said

    return call


def test_a_healthy_network_is_wholly_at_its_precision(make, make_chain):
    made, said = make(make_chain(), "fp16", "int8", "int8-cpu", limits={"int8": 0.8, "int8-cpu": 0.7})
    assert [entry.file.precision for entry in made] == ["fp16", "int8", "int8-cpu"]
    for entry in made:
        assert (entry.file.precision_share, entry.kept, entry.file.kept) == (1.0, (), ())
        assert entry.file.weight_share > 0.95
        assert entry.file.parity.against == "fp32"
        assert entry.comparison.images == 4
        onnx.checker.check_model(onnx.load(entry.file.onnx), full_check=True)
    assert made[0].file.head_dtypes == {"logits": "float16"}
    assert made[1].file.head_dtypes == {}
    assert made[0].comparison.agreement > 0.99
    assert said == ["making fp16", "making int8", "making int8-cpu"]
    assert "fp16: 100.0% of the multiply-adds, 100.0% of the weights; 9" in made[0].lines()[0]


def test_a_variant_that_passes_at_once_is_run_once_on_each_picture(make, make_chain, pictures, monkeypatch):
    runs = []
    run = SwitchableNetwork.run

    def counted(self, feed, low):
        runs.append(len(low))
        return run(self, feed, low)

    monkeypatch.setattr(SwitchableNetwork, "run", counted)
    made, _ = make(make_chain(), "fp16", calibration=(), pictures=(), golden=pictures)
    assert made[0].comparison.images == len(runs) == len(pictures)


def test_the_layer_that_overflows_in_fp16_is_found_and_kept(make, make_chain):
    made, said = make(make_chain(overflow=True), "fp16")
    entry = made[0]
    assert [kept.layer.label for kept in entry.kept] == ["body.2"]
    assert entry.kept[0].error == np.inf
    assert entry.file.kept == ("body.2",)
    assert 0.7 < entry.file.precision_share < 1.0
    assert entry.comparison.is_finite
    assert entry.comparison.agreement > 0.99
    assert said[1] == "fp16: its heads overflow; searching for the layers that must stay in fp32"
    assert any("body.2 (conv2) stays in fp32: overflows" in line for line in entry.lines())
    # Where float16 is computed in truth, nothing beyond its range may be left in it.
    model = onnx.load(entry.file.onnx)
    half = {tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16}
    assert "body.2.weight" not in half
    assert not any("body.2.weight" in name for name in half)


def test_the_layer_with_an_outlier_in_int8_is_found_and_kept(make, make_chain):
    made, said = make(make_chain(outlier=True, clipped=True), "int8", limits={"int8": 0.8})
    entry = made[0]
    assert [kept.layer.label for kept in entry.kept] == ["body.2"]
    assert np.isfinite(entry.kept[0].error)
    assert "searching" in said[1]
    assert entry.file.precision_share == pytest.approx(1 - entry.kept[0].share)
    assert entry.outcome.findings[0].layers == (3,)  # the input comes first
    assert entry.outcome.findings[0].error > 5 * entry.outcome.findings[1].error


@pytest.mark.parametrize("precision", ["int8", "int8-cpu"])
def test_an_outlier_that_can_be_scaled_costs_no_layer(make, make_chain, precision):
    made, _ = make(make_chain(outlier=True), precision, limits={precision: 0.8})
    plain, _ = make(make_chain(), precision, limits={precision: 0.8})
    assert made[0].kept == ()
    assert made[0].comparison.agreement > plain[0].comparison.agreement - 0.05


def test_a_variant_that_would_be_fp32_in_truth_is_refused(make, make_chain):
    with pytest.raises(CheckFailed, match=r"int8: only .* with fp32 .* only \d\.\d% of the multiply-adds would"):
        make(make_chain(), "int8", limits={"int8": 1.0})
    with pytest.raises(CheckFailed, match=r"fp16: only 0\.0% of the multiply-adds would be at it, for little else"):
        make(make_chain(), "fp16", keep=["body"])
    with pytest.raises(CheckFailed, match="fp16"):
        make(make_chain(overflow=True), "fp16", search_steps=0)


def test_untrained_networks_are_measured_and_not_judged(make, make_chain):
    made, _ = make(make_chain(outlier=True, clipped=True), "int8", trained=False)
    assert made[0].kept == ()
    assert made[0].comparison.agreement < 0.9
    assert made[0].file.tolerance.agreement < made[0].comparison.worst
    # An overflow is no matter of training.
    made, _ = make(make_chain(overflow=True), "fp16", trained=False)
    assert made[0].file.kept == ("body.2",)


def test_pictures_are_held_back_for_the_comparison_where_there_are_no_others(make, make_chain):
    made, _ = make(make_chain(), "int8", pictures=(), limits={"int8": 0.5})
    assert made[0].comparison.images == 3


def test_bad_input_is_named_in_one_line(make, make_chain, tmp_path):
    for precision, options, message in (
        ("tf32", {}, r"--precision tf32: is no variant to make but a way to execute fp32; leave it out"),
        ("fp8", {}, r"--precision fp8: there is no such variant; choose from fp16, int8, int8-cpu"),
        ("int8", {"calibration": ()}, r"int8 needs pictures to calibrate with; add --calibration DIR"),
    ):
        with pytest.raises(SegrtError, match=message) as caught:
            make(make_chain(), precision, **options)
        assert "\n" not in str(caught.value)
    made, _ = make(make_chain(), "int8", limits={"int8": 0.5})
    with pytest.raises(SegrtError, match="is quantised already"):
        make(onnx.load(made[0].file.onnx), "fp16")
    with pytest.raises(SegrtError, match="there is no such folder"):
        calibration_files(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SegrtError, match="holds no pictures"):
        calibration_files(tmp_path / "empty")
    old = make_chain()
    old.opset_import[0].version = 12
    with pytest.raises(SegrtError, match=r"has opset 12, but int8 needs 13 or newer"):
        make(old, "int8")


@pytest.mark.prints_table("quantize")
def test_quantize_adds_variants_that_verify_and_inspect_shows_what_they_are(
    network, pictures, calibration, saved, make_chain, tmp_path
):
    source = tmp_path / "source"
    golden = [GoldenPicture("first", pictures[0])]
    write_bundle(source, network, [VariantFile("fp32", saved(make_chain(overflow=True)))], golden, threads=1)
    out = tmp_path / "quantized"
    arguments = ["quantize", str(source), "--precision", "fp16,int8", "--calibration", str(calibration)]
    done = CliRunner().invoke(cli.cli, [*arguments, "--out", str(out), "--agreement", "0.8", "--threads", "1"])
    assert done.exit_code == 0, done.exception
    assert "body.2" in done.output
    assert "overflows" in done.output
    manifest = read_bundle(out).manifest
    assert [variant.precision for variant in manifest.variants] == ["fp32", "fp16", "int8"]
    assert manifest.variants[1].kept == ("body.2",)
    assert read_bundle(source).manifest.variants == manifest.variants[:1]
    shown = CliRunner().invoke(cli.cli, ["inspect", str(out)]).output
    assert "body.2" in shown
    assert f"{manifest.variants[1].precision_share:.1%}" in shown
    as_json = json.loads(CliRunner().invoke(cli.cli, ["inspect", str(out), "--json"]).output)
    assert as_json["manifest"]["variants"][1]["weight_share"] == manifest.variants[1].weight_share
    with open_bundle(out, precision="fp16", threads=1) as half, open_bundle(out, precision="fp32", threads=1) as whole:
        heads, _ = half.heads(pictures[1])
        assert heads["logits"].dtype == np.float16
        assert np.mean(half(pictures[1]).class_map == whole(pictures[1]).class_map) > 0.98
    again = CliRunner().invoke(cli.cli, [*arguments, "--out", str(out)])
    assert "is already there" in str(again.exception)
    nothing = CliRunner().invoke(
        cli.cli, ["quantize", str(source), "--precision", "int8", "--out", str(tmp_path / "x")]
    )
    assert "int8 needs pictures to calibrate with" in str(nothing.exception)


def test_what_succeeded_is_kept_when_one_variant_fails(network, pictures, calibration, saved, make_chain, tmp_path):
    source, out = tmp_path / "source", tmp_path / "quantized"
    golden = [GoldenPicture("first", pictures[0])]
    write_bundle(
        source, network, [VariantFile("fp32", saved(make_chain(outlier=True, clipped=True)))], golden, threads=1
    )
    command = ["quantize", str(source), "--calibration", str(calibration), "--search-steps", "0", "--threads", "1"]
    done = CliRunner().invoke(cli.cli, [*command, "--precision", "fp16,int8", "--out", str(out)])
    assert isinstance(done.exception, CheckFailed)
    said = str(done.exception)
    assert said.startswith(f"{out}: was written without int8: int8: ")
    assert "\n" not in said
    assert [variant.precision for variant in read_bundle(out).manifest.variants] == ["fp32", "fp16"]
    # The advice works.
    assert "segrt quantize --agreement" in said, said
    agreement = re.search(r"or ask for less: `segrt quantize --agreement (\S+)`$", said)[1]
    again = [*command, "--precision", "int8", "--agreement", agreement, "--out", str(tmp_path / "less")]
    assert CliRunner().invoke(cli.cli, again).exception is None
    # Where nothing succeeds, nothing is written.
    alone = CliRunner().invoke(cli.cli, [*command, "--precision", "int8", "--out", str(tmp_path / "none")])
    assert str(alone.exception).startswith("int8: ")
    assert not (tmp_path / "none").exists()


def test_speed_is_measured_beside_fp32_and_said(make, make_chain):
    made, _ = make(make_chain(), "fp16")
    assert 0 < made[0].speed.ms < 10_000
    assert 0 < made[0].speed.fp32_ms < 10_000
    assert made[0].speed.line("fp16") in made[0].lines()
    faster, slower = Speed(1.5, 2.0), Speed(192.0, 152.0)
    assert faster.line("int8") == "int8: 1.5 ms a picture in ONNX Runtime on this CPU, fp32 2 ms"
    assert slower.line("fp16").endswith("fp32 152 ms: slower than fp32 here; it is meant for GPUs")
    assert "int8-cpu is what ONNX Runtime runs fastest" in slower.line("int8")
    assert "`segrt profile`" in slower.line("int8-cpu")


def test_one_objects_variants_are_compared_by_their_masks(pictures, calibration, tmp_path, make_chain, saved):
    """The third logit of the chain alone, as the score of an object: agreement is that of the cut masks."""
    model = make_chain()
    model.graph.node.append(onnx.helper.make_node("Gather", ["logits", "third"], ["score"], name="pick", axis=1))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([2], np.int64), "third"))
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("score", onnx.TensorProto.FLOAT, [1, 1, 32, 48]))
    image = InputSpec("image", "uint8", (1, 32, 48, 3))
    head = HeadSpec("score", "object_scores", "float32", (1, 1, 32, 48))
    labels = with_background(Label("leaf", 1, False, (0, 255, 0)))
    described = Network("leaf", "semantic", "tiny", Source("none", "Apache-2.0"), (image,), (head,), labels, Binary())
    source, out = tmp_path / "source", tmp_path / "out"
    golden = [GoldenPicture("first", pictures[0])]
    write_bundle(source, described, [VariantFile("fp32", saved(model))], golden, threads=1)
    command = ["quantize", str(source), "--precision", "fp16,int8", "--calibration", str(calibration), "--threads", "1"]
    done = CliRunner().invoke(cli.cli, [*command, "--agreement", "0.9", "--out", str(out)])
    assert done.exception is None, done.exception
    with open_bundle(out, threads=1) as whole:
        for precision in ("fp16", "int8"):
            with open_bundle(out, precision=precision, threads=1) as other:
                same = [np.mean(other(picture).class_map == whole(picture).class_map) for picture in pictures]
            variant = other.variant
            assert variant.parity.agreement > 0.8
            assert min(same) > 0.8


@pytest.mark.parametrize("faulty", ["fp16", "int8"])
def test_nvidias_builder_takes_the_variants(faulty, make, make_chain):
    pytest.importorskip("tensorrt_rtx")
    from segrt.export.graph.tensorrt_check import check_tensorrt

    made, _ = make(make_chain(overflow=faulty == "fp16"), faulty, limits={"int8": 0.5})
    assert check_tensorrt(made[0].file.onnx)


@pytest.mark.skipif("street-panoptic" not in embedded_names(), reason="the embedded bundles are not here")
def test_a_trained_panoptic_network_survives_fp16_and_int8(tmp_path, monkeypatch):
    from segrt.export.precision.bundle_variants import make_bundle_variants
    from segrt.runtime.files.images import write_image

    monkeypatch.setattr(variant_maker, "LEAST_SHARE", 0.9)
    for seed in range(8):
        write_image(tmp_path / f"{seed}.png", StreetWorld(710_000 + seed).render(3.0, (96, 160)).image)
    pictures = [StreetWorld(seed).render(2.0, (192, 320)).image for seed in (720_001, 720_002)]
    options = VariantOptions(calibration=sorted(Path(tmp_path).glob("*.png")), pictures=pictures, threads=1)
    made = make_bundle_variants(read_bundle("street-panoptic"), ["fp16", "int8"], tmp_path, options, say=print)
    half, byte = made
    assert half.comparison.agreement > 0.998
    assert half.comparison.quality > 0.98
    assert byte.comparison.agreement > 0.95
    assert (half.counts.mac_share("fp16"), half.counts.weight_share("fp16")) == (1.0, 1.0)
    assert 0.9 < byte.counts.mac_share("int8") < 1.0  # the products of queries and features are no weights


@pytest.mark.parametrize(("seconds", "runs"), [(5.0, 1), (0.25, 4), (0.001, 16)])
def test_a_slow_network_is_timed_in_one_run_and_a_quick_one_in_many(
    seconds: float, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    class Session:
        def __init__(self, share: float) -> None:
            self.share, self.runs = share, 0

        def run(self, *_: object) -> None:
            now[0] += self.share * seconds * (3 if self.runs == 0 and seconds < 1 else 1)
            self.runs += 1

    sessions = {"variant": Session(1.0), "fp32": Session(1.0)}
    # With its arena, as where it is used.
    monkeypatch.setattr(speed, "open_session", lambda model, threads, arena: sessions[model] if arena else None)  # noqa: ARG005
    monkeypatch.setattr(speed, "time", SimpleNamespace(monotonic=lambda: now[0], perf_counter=lambda: now[0]))
    measured = speed.measure_speed("fp32", "variant", {})  # type: ignore[arg-type]
    assert measured.ms == pytest.approx(1000 * seconds), "warming up is left out"
    assert sessions["variant"].runs == sessions["fp32"].runs == runs
