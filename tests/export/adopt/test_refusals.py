"""What cannot be adopted is refused in one line that says why and what to do."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
from foreign_networks import Adopt, photo
from onnx import TensorProto, helper

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.runtime import cli
from segrt.runtime.errors import BackendError, BundleError, SegrtError
from segrt.runtime.preprocess.input_spec import Resize


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
        adopt(hidden, "semantic", labels=str(path), golden=[photo(tiny, tmp_path)])


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
        (
            lambda model: model,
            {"layout": "NCHW"},
            "--layout NCHW: input 'image' .* has 32 there, which are no channels; leave",
        ),
        (lambda model: model, {"resize": Resize("letterbox", pad=(300,) * 3)}, "--pad 300,300,300: must be 0 to 255"),
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
        capsys.readouterr().err == "segrt: error: this command needs the onnx package; `pip install 'segrt[adopt]'`\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "12"], "must be HEIGHTxWIDTH"),
        (["--mean", "1;2"], "'--mean': must be one number, or one a channel, comma-separated, but got '1;2'"),
        (["--mean", "nan"], "'--mean': must be one number, or one a channel, comma-separated, but got 'nan'"),
        (["--pad", "-1,2,3"], "'--pad': must be 0 to 255, or to 65535 for 16-bit values, but got '-1,2,3'"),
        (["--pad", "1e30"], "'--pad': must be 0 to 255, or to 65535 for 16-bit values, but got '1e30'"),
        (["--pad", "nan"], "'--pad': must be one number, or one a channel, comma-separated, but got 'nan'"),
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
