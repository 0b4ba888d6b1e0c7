"""Foreign ONNX files become bundles: what is guessed is right, what cannot be guessed is asked for."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.export.synthetic_pictures import synthetic_picture
from segrt.runtime import cli, open_bundle
from segrt.runtime.authoring.verification import verify
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import BackendError, BundleError, SegrtError
from segrt.runtime.files.images import read_image, write_image
from segrt.runtime.results import InstanceResult, SemanticResult

Adopt = Callable[..., tuple[Path, list[str]]]


@pytest.fixture
def names(tmp_path: Path) -> str:
    path = tmp_path / "names.txt"
    path.write_text("red\ngreen\nblue\n")
    return str(path)


@pytest.fixture
def adopt(tiny: SimpleNamespace, tmp_path: Path, names: str) -> Adopt:
    """Adopt a model with technique and options: → (folder, what was said)."""

    def call(model: onnx.ModelProto, technique: str, **options: Any) -> tuple[Path, list[str]]:
        out = tmp_path / "adopted"
        chosen = AdoptOptions(**{"technique": technique, "labels": names, "overwrite": True, **options})
        return out, adopt_network(tiny.save(model), out, chosen)

    return call


def float_model(
    tiny: SimpleNamespace,
    *,
    layout: str = "NCHW",
    dims: tuple[Any, ...] = (1, 32, 48),
    heads_last: bool = False,
) -> onnx.ModelProto:
    """A float network: its logits are its input, averaged over 4x4 pixels."""
    shape = [dims[0], 3, *dims[1:]] if layout == "NCHW" else [*dims, 3]
    nodes = [] if layout == "NCHW" else [helper.make_node("Transpose", ["x"], ["planes"], perm=[0, 3, 1, 2])]
    source = "x" if layout == "NCHW" else "planes"
    pooled = "pooled" if heads_last else "out"
    nodes.append(helper.make_node("AveragePool", [source], [pooled], kernel_shape=[4, 4], strides=[4, 4]))
    if heads_last:
        nodes.append(helper.make_node("Transpose", [pooled], ["out"], perm=[0, 2, 3, 1]))
    out_shape = [dims[0], None, None, None]
    model: onnx.ModelProto = tiny.build(
        nodes,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, out_shape)],
        {},
    )
    return model


def classes(folder: Path, image: np.ndarray) -> np.ndarray:
    with open_bundle(folder, threads=1) as segmenter:
        result = segmenter(image)
        assert all(check.passed for check in verify(segmenter))
    assert isinstance(result, SemanticResult)
    return result.class_map[16, [4, 24, 44]]


def test_a_class_map_is_recognised(tiny: SimpleNamespace, adopt: Adopt) -> None:
    folder, said = adopt(tiny.class_map_model(), "semantic")
    assert said[0] == "input 'image': uint8 NHWC 32×48, rgb"
    assert "head 'classes' int64 [1, 8, 12] is class_map" in said
    assert classes(folder, tiny.thirds(32, 48)).tolist() == [0, 1, 2]
    # Nothing had to be changed, so the network is the file that was given.
    assert (folder / "model.fp32.onnx").read_bytes() == (folder.parent / "model.onnx").read_bytes()


def test_colour_order_is_what_was_said(tiny: SimpleNamespace, adopt: Adopt) -> None:
    folder, _ = adopt(tiny.class_map_model(), "semantic", color="bgr")
    assert classes(folder, tiny.thirds(32, 48)).tolist() == [2, 1, 0]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("heads_last", [False, True])
def test_float_networks_of_either_layout_are_normalised_outside(
    tiny: SimpleNamespace, adopt: Adopt, layout: str, heads_last: bool
) -> None:
    model = float_model(tiny, layout=layout, heads_last=heads_last)
    folder, said = adopt(model, "semantic")
    assert said[0] == f"input 'x': float32 {layout} 32×48, rgb"
    assert any(line.startswith("normalisation guessed: ImageNet's") for line in said)
    assert any("a Transpose was added" in line for line in said) == heads_last
    assert classes(folder, tiny.thirds(32, 48)).tolist() == [0, 1, 2]
    with open_bundle(folder, threads=1) as segmenter:
        heads, _ = segmenter.heads(np.full((32, 48, 3), 255, np.uint8))
    expected = (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(next(iter(heads.values()))[0, :, 4, 6], expected, atol=1e-4)


def test_given_normalisation_is_used(tiny: SimpleNamespace, adopt: Adopt) -> None:
    folder, said = adopt(float_model(tiny), "semantic", scale=1.0, mean=(100.0, 110.0, 120.0))
    assert not any("guessed" in line for line in said)
    with open_bundle(folder, threads=1) as segmenter:
        heads, _ = segmenter.heads(np.full((32, 48, 3), 200, np.uint8))
    np.testing.assert_allclose(heads["out"][0, :, 4, 6], [100, 90, 80], atol=1e-3)


def test_free_sizes_are_fixed_on_demand(tiny: SimpleNamespace, adopt: Adopt) -> None:
    model = float_model(tiny, dims=("batch", "height", "width"))
    with pytest.raises(SegrtError, match="has no fixed size; add --size HEIGHTxWIDTH"):
        adopt(model, "semantic")
    folder, _ = adopt(model, "semantic", size=(64, 96))
    assert read_bundle(folder).manifest.heads[0].shape == (1, 3, 16, 24)
    with pytest.raises(SegrtError, match=r"--size 16x16: .*has a fixed size; leave --size out"):
        adopt(float_model(tiny), "semantic", size=(16, 16))


def test_resize_rule_and_padding_are_kept(tiny: SimpleNamespace, adopt: Adopt) -> None:
    from segrt.runtime.preprocess.input_spec import Resize

    resize = Resize("letterbox", pad=(0, 0, 0))
    folder, _ = adopt(tiny.class_map_model(), "semantic", resize=resize)
    assert read_bundle(folder).manifest.image_input.resize == resize
    tall = tiny.thirds(48, 48)
    with open_bundle(folder, threads=1) as segmenter:
        result = segmenter(tall)
    assert isinstance(result, SemanticResult)
    assert result.class_map[24, [4, 24, 44]].tolist() == [0, 1, 2]


def test_queries_are_recognised_for_each_technique(tiny: SimpleNamespace, adopt: Adopt) -> None:
    folder, said = adopt(tiny.query_model(), "semantic")
    assert said[-1] == "precision fp32, decode rule query_semantic"
    assert classes(folder, tiny.thirds(32, 48)).tolist() == [0, 1, 2]
    folder, said = adopt(tiny.query_model(), "panoptic")
    assert "head 'masks' float32 [1, 4, 8, 12] is mask_logits" in said
    assert read_bundle(folder).manifest.decode.score_threshold == 0.5  # type: ignore[union-attr]
    folder, said = adopt(tiny.query_model(), "instance", score_threshold=0.25)
    assert "class scores by softmax" in said
    decode: Any = read_bundle(folder).manifest.decode
    assert (decode.score_threshold, decode.activation) == (0.25, "softmax")


def test_as_many_rows_as_labels_mean_sigmoid_scores(tiny: SimpleNamespace, adopt: Adopt, tmp_path: Path) -> None:
    path = tmp_path / "four.txt"
    path.write_text("a\nb\nc\nd\n")
    folder, said = adopt(tiny.query_model(), "instance", labels=str(path))
    assert "class scores by sigmoid" in said
    decode: Any = read_bundle(folder).manifest.decode
    assert decode.activation == "sigmoid"


def test_a_detector_without_batch_axis_gets_one(tiny: SimpleNamespace, adopt: Adopt) -> None:
    model = tiny.box_model()
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)[0]
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    for output in model.graph.output:
        del output.type.tensor_type.shape.dim[0]
        output.type.tensor_type.shape.dim[0].dim_param = "n"
    folder, said = adopt(model, "instance")
    assert sum("has no batch axis: one was added" in line for line in said) == 4
    manifest = read_bundle(folder).manifest
    assert {head.role: head.shape for head in manifest.heads}["boxes"] == (1, "detections", 4)
    with open_bundle(folder, threads=1) as segmenter:
        result = segmenter(np.zeros((32, 48, 3), np.uint8))
    assert isinstance(result, InstanceResult)
    np.testing.assert_allclose(result.boxes, [[4, 8, 20, 24]])


def test_class_ids_of_the_data_set_are_spread(tiny: SimpleNamespace, adopt: Adopt, tmp_path: Path) -> None:
    path = tmp_path / "gapped.json"
    path.write_text(json.dumps([{"id": 0, "name": "zero"}, {"id": 2, "name": "two"}]))
    folder, said = adopt(tiny.query_model(), "panoptic", labels=str(path))
    assert any("labels spread out" in line for line in said)
    assert [label.name for label in read_bundle(folder).manifest.labels] == ["zero", "unused 1", "two"]
    folder, _ = adopt(tiny.class_map_model(), "semantic", labels=str(path), ids="dataset")
    assert [label.name for label in read_bundle(folder).manifest.labels] == ["zero", "unused 1", "two"]


def test_names_that_lead_out_of_a_folder_are_refused(tiny: SimpleNamespace, adopt: Adopt, tmp_path: Path) -> None:
    with pytest.raises(SegrtError, match=r"^--name must be one plain file name .* but got '\.\./\.\./x'"):
        adopt(tiny.class_map_model(), "semantic", name="../../x")
    with pytest.raises(SegrtError, match=r"\.hidden: the bundle's name, which is the folder's, must be .*; add --name"):
        adopt_network(tmp_path / "x.onnx", tmp_path / ".hidden", AdoptOptions("semantic"))


def test_too_few_labels_are_refused(tiny: SimpleNamespace, adopt: Adopt, tmp_path: Path) -> None:
    path = tmp_path / "two.json"
    path.write_text(json.dumps([{"id": 0, "name": "a"}, {"id": 9, "name": "b"}]))
    with pytest.raises(SegrtError, match=r"two\.json: has 2 classes, but the network has 3; give its own"):
        adopt(tiny.semantic_model(), "semantic", labels=str(path))
    with pytest.raises(SegrtError, match=r"two\.json: has 2 classes, but the network has 3; give its own"):
        adopt(tiny.class_map_model(), "semantic", labels=str(path))
    hidden = tiny.class_map_model()
    hidden.graph.node[-1].output[0] = "found"
    hidden.graph.node.append(helper.make_node("Abs", ["found"], ["classes"]))
    with pytest.raises(BundleError, match="holds class id 2, but the bundle has 2 labels"):
        adopt(hidden, "semantic", labels=str(path), golden=[_photo(tiny, tmp_path)])


def test_a_list_without_gaps_is_not_spread(tiny: SimpleNamespace, adopt: Adopt, tmp_path: Path) -> None:
    path = tmp_path / "two.txt"
    path.write_text("a\nb\n")
    for ids in ("list", "dataset"):
        with pytest.raises(SegrtError, match=r"two\.txt: has 2 classes, but the network has 3; give its own"):
            adopt(tiny.class_map_model(), "semantic", labels=str(path), ids=ids)


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ({"bogus": "classes"}, "--head bogus=classes: there is no role 'bogus'; choose from class_map, class_logits"),
        (
            {"semantic_logits": "classes"},
            r"must have 4 dimensions and dtype float16 or float32, but got int64 \[1, 8, 12\]; name another output",
        ),
        ({"scores": "rows"}, "--head scores=rows: the rule class_map takes class_map alone; leave it out"),
    ],
)
def test_heads_that_cannot_play_their_role_are_refused(
    tiny: SimpleNamespace, adopt: Adopt, heads: dict[str, str], message: str
) -> None:
    model = tiny.class_map_model()
    model.graph.initializer.append(helper.make_tensor("rows_in", TensorProto.FLOAT, [1, 2], [0.5, 0.5]))
    model.graph.node.append(helper.make_node("Identity", ["rows_in"], ["rows"]))
    model.graph.output.append(helper.make_tensor_value_info("rows", TensorProto.FLOAT, [1, 2]))
    with pytest.raises(SegrtError, match=message):
        adopt(model, "semantic", heads=heads)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"score_threshold": 0.5},
            r"--score-threshold 0\.5: is for query_.*, but the network's rule is class_map; leave",
        ),
        ({"overlap_threshold": 0.5}, r"--overlap-threshold 0\.5: is for merge_queries, but .* is class_map"),
        ({"merge_rule": "detr"}, r"--merge-rule detr: is for merge_queries, but .* is class_map"),
        ({"iou_threshold": 0.5}, r"--iou-threshold 0\.5: is for prototype_masks, but .* is class_map"),
        ({"rows": "yolo"}, r"--rows yolo: is for prototype_masks, but .* is class_map"),
        ({"activation": "sigmoid"}, r"--activation sigmoid: is for query_instances, but .* is class_map"),
        ({"first_class": 0}, r"--first-class 0: is for paste_masks, but .* is class_map"),
        (
            {"precision": "../../zz"},
            r"--precision \.\./\.\./zz: there is none such; choose from fp32, fp16, int8, int8-",
        ),
        ({"precision": "fp32", "dequantize": True}, "--precision fp32 contradicts --dequantize"),
    ],
)
def test_options_that_do_not_apply_are_refused(
    tiny: SimpleNamespace, adopt: Adopt, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SegrtError, match=message):
        adopt(tiny.class_map_model(), "semantic", **options)


def test_a_void_value_is_for_class_maps(tiny: SimpleNamespace, adopt: Adopt) -> None:
    with pytest.raises(SegrtError, match="--void-value 255: is for class_map, but the network's rule is argmax; leave"):
        adopt(tiny.semantic_model(), "semantic", void_value=255)


def test_golden_results_of_one_class_are_warned_of(tiny: SimpleNamespace, adopt: Adopt, tmp_path: Path) -> None:
    warning = "warning: every golden result is empty or of one class"
    plain = tmp_path / "plain.png"
    write_image(plain, np.full((32, 48, 3), (0, 0, 255), np.uint8))
    _, said = adopt(tiny.class_map_model(), "semantic", golden=[plain])
    assert said[-1].startswith(warning)
    _, said = adopt(tiny.query_model(), "instance", golden=[plain], score_threshold=1.0)
    assert said[-1].startswith(warning)
    _, said = adopt(tiny.class_map_model(), "semantic", golden=[plain, _photo(tiny, tmp_path)])
    assert not any(line.startswith(warning) for line in said)


def test_outputs_that_are_not_to_be_told_apart_are_asked_for(tiny: SimpleNamespace, adopt: Adopt) -> None:
    model = tiny.class_map_model()
    model.graph.node.append(helper.make_node("Identity", ["classes"], ["again"]))
    model.graph.output.append(helper.make_tensor_value_info("again", TensorProto.INT64, [1, 8, 12]))
    with pytest.raises(SegrtError, match=r"are not to be told from the outputs 'classes' int64 .*--head ROLE=NAME"):
        adopt(model, "semantic")
    _, said = adopt(model, "semantic", heads={"class_map": "again"})
    assert "head 'again' int64 [1, 8, 12] is class_map" in said
    with pytest.raises(SegrtError, match="--head class_map=gone: there is no such output; there are 'classes'"):
        adopt(model, "semantic", heads={"class_map": "gone"})


def test_the_precision_is_read_from_the_graph(tiny: SimpleNamespace, adopt: Adopt) -> None:
    model = tiny.semantic_model()
    model.graph.node[-1].output[0] = "means"
    for name, value in (("scale", np.float32(1.0)), ("zero", np.uint8(0))):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(value), name))
    model.graph.node.append(helper.make_node("QuantizeLinear", ["means", "scale", "zero"], ["q"]))
    model.graph.node.append(helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["logits"]))
    folder, said = adopt(model, "semantic")
    assert "precision int8, decode rule argmax" in said
    assert any(line.startswith("TensorRT takes symmetric int8 alone") for line in said)
    assert (folder / "model.int8.onnx").is_file()


def test_weights_beside_the_file_are_brought_in(tiny: SimpleNamespace, tmp_path: Path, names: str) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    onnx.save(
        tiny.query_model(), str(folder / "big.onnx"), save_as_external_data=True, location="big.data", size_threshold=0
    )
    assert (folder / "big.data").is_file()
    adopt_network(folder / "big.onnx", tmp_path / "b", AdoptOptions("panoptic", names))
    (folder / "big.data").unlink()
    with open_bundle(tmp_path / "b", threads=1) as segmenter:
        assert all(check.passed for check in verify(segmenter))
    with pytest.raises(BundleError, match="its weights beside it cannot be read"):
        adopt_network(folder / "big.onnx", tmp_path / "c", AdoptOptions("panoptic", names))


def _photo(tiny: SimpleNamespace, tmp_path: Path) -> Path:
    write_image(tmp_path / "photo.png", tiny.thirds(640, 960))
    return tmp_path / "photo.png"


def test_golden_frames_are_the_users_pictures_reduced(tiny: SimpleNamespace, adopt: Adopt, tmp_path: Path) -> None:
    folder, _ = adopt(tiny.class_map_model(), "semantic", golden=[_photo(tiny, tmp_path)])
    golden = read_bundle(folder).manifest.golden
    assert [frame.name for frame in golden] == ["picture-1"]
    assert max(read_image(folder / golden[0].image.path).shape) == 320
    folder, _ = adopt(tiny.class_map_model(), "semantic")
    assert [frame.name for frame in read_bundle(folder).manifest.golden] == ["synthetic-1", "synthetic-2"]
    np.testing.assert_array_equal(synthetic_picture(1), synthetic_picture(1))
    assert (synthetic_picture(1) != synthetic_picture(2)).any()


def _two_pictures(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.input.append(helper.make_tensor_value_info("second", TensorProto.UINT8, [1, 32, 48, 3]))
    return model


def _typed(model: onnx.ModelProto, kind: int) -> onnx.ModelProto:
    model.graph.input[0].type.tensor_type.elem_type = kind
    return model


def _batched(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 4
    return model


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (_two_pictures, {}, "must have one input that is a picture"),
        (lambda model: _typed(model, TensorProto.INT32), {}, "must be uint8, float16, float32"),
        (_batched, {}, "has a batch of 4; export it with a batch of 1"),
        (lambda model: model, {"mean": (1.0, 1.0, 1.0)}, "--mean: input 'image' .* takes bytes"),
        (lambda model: model, {"layout": "NCHW"}, "--layout NCHW: input 'image' .* has no 3 channels there"),
        (lambda model: model, {"technique": "panoptic"}, "heads of a query network are not to be told"),
    ],
)
def test_networks_that_do_not_fit_are_refused(
    tiny: SimpleNamespace,
    adopt: Adopt,
    change: Callable[[onnx.ModelProto], onnx.ModelProto],
    options: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(SegrtError, match=message):
        adopt(change(tiny.class_map_model()), **{"technique": "semantic", **options})


def test_files_that_are_no_networks_are_refused(tmp_path: Path, names: str) -> None:
    (tmp_path / "noise.onnx").write_bytes(b"this is not a network, it is text")
    for name, message in (("noise.onnx", "is no valid ONNX file"), ("gone.onnx", "there is no such file")):
        with pytest.raises(BundleError, match=message) as caught:
            adopt_network(tmp_path / name, tmp_path / "out", AdoptOptions("semantic", names))
        assert "\n" not in str(caught.value)
    for name in (tmp_path, Path("/dev/zero")):
        with pytest.raises(BundleError, match="is no file; give the ONNX file of a network"):
            adopt_network(name, tmp_path / "out", AdoptOptions("semantic", names))
    assert not (tmp_path / "out").exists()


def test_a_network_that_cannot_run_is_named_by_its_own_path(
    tiny: SimpleNamespace, adopt: Adopt, tmp_path: Path
) -> None:
    model = tiny.class_map_model()
    model.graph.node[0].domain = "nowhere"
    model.opset_import.append(helper.make_opsetid("nowhere", 1))
    with pytest.raises(BackendError, match=rf"{tmp_path}/model\.onnx: ONNX Runtime cannot load the network"):
        adopt(model, "semantic")


def test_without_onnx_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    arguments = ["adopt", "x.onnx", "--out", str(tmp_path / "b"), "--technique", "semantic", "--labels", names]
    monkeypatch.setattr("sys.argv", ["segrt", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert (
        capsys.readouterr().err == "segrt: error: this command needs the onnx package; `pip install 'segrt[export]'`\n"
    )


def test_the_command_says_what_it_guessed(
    tiny: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    names: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, out = tiny.save(float_model(tiny)), tmp_path / "b"
    arguments = ["adopt", file, "--out", out, "--technique", "semantic", "--labels", names, "--mean", "0.5", "--std",
                 "0.5", "--scale", "0.00392", "--resize", "shortest-edge", "--shortest-edge", "16"]  # fmt: skip
    monkeypatch.setattr("sys.argv", ["segrt", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    text = capsys.readouterr().out
    assert "head 'out' float32 [1, 3, 8, 12] is semantic_logits" in text
    assert "written and verified" in text
    spec = read_bundle(out).manifest.image_input
    assert (spec.mean, spec.std, spec.scale) == ((0.5,) * 3, (0.5,) * 3, 0.00392)
    assert (spec.resize.rule, spec.resize.shortest_edge, spec.resize.pad_side) == ("shortest_edge", 16, "bottom_right")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "12"], "must be HEIGHTxWIDTH"),
        (["--mean", "1,2"], "must be one number or three"),
        (["--mean", "nan"], "'--mean': must be one number or three, comma-separated, but got 'nan'"),
        (["--pad", "-1,2,3"], "'--pad': must be 0 to 255, but got '-1,2,3'"),
        (["--pad", "300"], "'--pad': must be 0 to 255, but got '300'"),
        (["--pad", "1e30"], "'--pad': must be 0 to 255, but got '1e30'"),
        (["--pad", "nan"], "'--pad': must be one number or three, comma-separated, but got 'nan'"),
        (["--score-threshold", "nan"], "'--score-threshold': must be a finite number, but got 'nan'"),
        (["--scale", "inf"], "'--scale': must be a finite number, but got 'inf'"),
        (["--head", "masks"], "must be ROLE=NAME"),
        (["--resize", "shortest-edge"], "--shortest-edge PIXELS must be given"),
        (["--antialias", "--interpolation", "area"], "--antialias needs --interpolation linear or cubic"),
        (["--technique", "magic"], "'magic' is not one of"),
    ],
)
def test_wrong_options_are_named(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    names: str,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    base = ["adopt", "x.onnx", "--out", str(tmp_path / "b"), "--technique", "semantic", "--labels", names]
    monkeypatch.setattr("sys.argv", ["segrt", *base, *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_adopting_needs_no_torch(tiny: SimpleNamespace, tmp_path: Path, names: str) -> None:
    file = tiny.save(tiny.query_model())
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "from segrt.runtime import cli\n"
        f"sys.argv = ['segrt', 'adopt', {str(file)!r}, '--out', {str(tmp_path / 'b')!r}, "
        f"'--technique', 'panoptic', '--labels', {names!r}]\n"
        "cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "written and verified" in done.stdout


def test_the_real_deeplab_finds_the_train(fixtures: Path, tmp_path: Path) -> None:
    photo = fixtures / "coco_panoptic/images/000000000071.jpg"
    said = adopt_network(
        fixtures / "onnx/deeplabv3_mnv2_pascal_quant_from_tflite.onnx",
        tmp_path / "deeplab",
        AdoptOptions("semantic", "voc", golden=[photo]),
    )
    assert said[-2] == "precision int8, decode rule class_map"
    assert said[-1].startswith("TensorRT takes symmetric int8 alone, and this is not; --dequantize adds")
    with open_bundle(tmp_path / "deeplab", threads=1) as segmenter:
        result = segmenter(read_image(photo))
    assert isinstance(result, SemanticResult)
    assert result.class_map.shape == (426, 640)
    train = next(index for index, label in enumerate(result.labels) if label.name == "train")
    assert result.class_map[300, 500] == train
    assert set(np.unique(result.class_map)) == {0, train}
