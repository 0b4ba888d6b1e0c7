"""Foreign ONNX files become bundles: what is guessed is right, what cannot be guessed is asked for."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from foreign_networks import Adopt, classes, float_model, photo
from onnx import helper

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.export.synthetic_pictures import synthetic_picture
from segrt.runtime import cli, open_bundle
from segrt.runtime.authoring.verification import verify
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import BundleError, SegrtError
from segrt.runtime.files.images import read_image, write_image
from segrt.runtime.results import InstanceResult, SemanticResult


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


def test_a_panoptic_list_without_things_is_warned_of(tiny: SimpleNamespace, adopt: Adopt, tmp_path: Path) -> None:
    for kind, isthing, warned in (("panoptic", False, 1), ("panoptic", True, 0), ("semantic", False, 0)):
        path = tmp_path / "kinds.json"
        path.write_text(json.dumps([{"name": name, "isthing": isthing} for name in ("red", "green", "blue")]))
        _, said = adopt(tiny.query_model(), kind, labels=str(path))
        assert sum("kinds.json tells no things from stuff: all classes are stuff" in line for line in said) == warned


def test_a_list_without_gaps_is_not_spread(tiny: SimpleNamespace, adopt: Adopt, tmp_path: Path) -> None:
    path = tmp_path / "two.txt"
    path.write_text("a\nb\n")
    for ids in ("list", "dataset"):
        with pytest.raises(SegrtError, match=r"two\.txt: has 2 classes, but the network has 3; give its own"):
            adopt(tiny.class_map_model(), "semantic", labels=str(path), ids=ids)


def test_golden_results_of_one_class_are_warned_of(tiny: SimpleNamespace, adopt: Adopt, tmp_path: Path) -> None:
    warning = "warning: every golden result is empty or of one class"
    plain = tmp_path / "plain.png"
    write_image(plain, np.full((32, 48, 3), (0, 0, 255), np.uint8))
    _, said = adopt(tiny.class_map_model(), "semantic", golden=[plain])
    assert said[-1].startswith(warning)
    _, said = adopt(tiny.query_model(), "instance", golden=[plain], score_threshold=1.0)
    assert said[-1].startswith(warning)
    _, said = adopt(tiny.class_map_model(), "semantic", golden=[plain, photo(tiny, tmp_path)])
    assert not any(line.startswith(warning) for line in said)


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


def test_golden_frames_are_the_users_pictures_reduced(tiny: SimpleNamespace, adopt: Adopt, tmp_path: Path) -> None:
    folder, _ = adopt(tiny.class_map_model(), "semantic", golden=[photo(tiny, tmp_path)])
    golden = read_bundle(folder).manifest.golden
    assert [frame.name for frame in golden] == ["picture-1"]
    assert max(read_image(folder / golden[0].image.path).shape) == 320
    folder, _ = adopt(tiny.class_map_model(), "semantic")
    assert [frame.name for frame in read_bundle(folder).manifest.golden] == ["synthetic-1", "synthetic-2"]
    np.testing.assert_array_equal(synthetic_picture(1), synthetic_picture(1))
    assert (synthetic_picture(1) != synthetic_picture(2)).any()


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


def test_what_nothing_can_be_divided_by_is_refused_before_it_is(tiny: SimpleNamespace, adopt: Adopt) -> None:
    with pytest.raises(SegrtError, match="--std 1,0,1: nothing can be divided by 0"):
        adopt(float_model(tiny), "semantic", std=(1.0, 0.0, 1.0))


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
