"""Networks that normalise their picture themselves are fed what their first steps expect."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from side_file_networks import CONFIG, adopted, beside

from segrt.export.adopt.conventions.arithmetic_on_input import arithmetic_on_input
from segrt.export.adopt.conventions.convention import Normalisation
from segrt.export.adopt.conventions.exporters import read_convention
from segrt.export.graph.editing import Graph
from segrt.runtime.errors import SegrtError

BYTES, UNITS = "it is fed 0 to 255", "it is fed 0 to 1"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def network(folder: Path, steps: list[tuple[str, list[float], bool]], *, used_twice: bool = False) -> Path:
    """A network (1, 3, 64, 96) that begins with `steps`: operation, constant, whether the constant comes first."""
    nodes, constants, name = [], [], "image"
    for index, (kind, numbers, is_first) in enumerate(steps):
        if kind in ("Gather", "Slice"):
            values = [numbers] if kind == "Gather" else [[number] for number in numbers]
            parts = [numpy_helper.from_array(np.array(v, np.int64), f"part{index}_{n}") for n, v in enumerate(values)]
            constants += parts
            given = {"axis": 1} if kind == "Gather" else {}
            nodes.append(helper.make_node(kind, [name, *(part.name for part in parts)], [f"step{index}"], **given))
            name = f"step{index}"
            continue
        shape = (1, 3, 1, 1) if len(numbers) == 3 else ()
        constants.append(numpy_helper.from_array(np.array(numbers, np.float32).reshape(shape), f"constant{index}"))
        inputs = [f"constant{index}", name] if is_first else [name, f"constant{index}"]
        nodes.append(helper.make_node(kind, inputs, [f"step{index}"]))
        name = f"step{index}"
    last = ("Add", [name, "image"]) if used_twice else ("Relu", [name])
    nodes.append(helper.make_node(*last, ["logits"]))
    image, logits = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 64, 96]) for name in ("image", "logits")
    )
    graph = helper.make_graph(nodes, "steps", [image], [logits], constants)
    path = folder / "network.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([("Mul", [1 / 127.5], False), ("Sub", [1.0], False)], BYTES),
        ([("Div", [255.0], False)], BYTES),
        ([("Sub", [255 * m for m in MEAN], False), ("Div", [255 * s for s in STD], False)], BYTES),
        ([("Div", [255.0], False), ("Sub", MEAN, False), ("Div", STD, False)], BYTES),
        ([("Sub", MEAN, False), ("Div", STD, False)], UNITS),
        ([("Mul", [2.0], True), ("Add", [-1.0], True)], UNITS),
        ([("Sub", [1.0], True)], UNITS),  # 1 - x: a negative
        ([("Sub", [123.7, 116.8, 103.9], False)], BYTES),  # a mean alone, as Caffe's networks have it
        ([("Mul", [255.0], False), ("Sub", [123.7, 116.8, 103.9], False)], UNITS),
        ([("Sub", [0.5], False)], UNITS),
        ([("Mul", [1.5], False), ("Mul", [30.0], False)], None),
        ([("Mul", [1.0], False), ("Add", [0.0], False)], None),  # nothing is done
        ([], None),
    ],
)
def test_the_first_steps_say_what_is_fed(tmp_path: Path, steps: list, said: str | None) -> None:
    manifest, notes = adopted(network(tmp_path, steps), technique="semantic", labels=classes(tmp_path))
    (image,) = manifest.inputs
    if said is None:
        assert not any("normalises its picture itself" in note for note in notes)
        assert image.mean == (0.485, 0.456, 0.406)
    else:
        assert f"the network normalises its picture itself: {said}" in notes
        assert (image.mean, image.std) == ((0.0,) * 3, (1.0,) * 3)
        assert image.scale == pytest.approx(1.0 if said == BYTES else 1 / 255)


TURN = ("Gather", [2.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("steps", "color"),
    [
        ([("Sub", [103.939, 116.779, 123.68])], "bgr"),  # Caffe's mean, from blue to red
        ([("Sub", [123.68, 116.779, 103.939])], "rgb"),
        ([TURN, ("Sub", [103.939, 116.779, 123.68])], "rgb"),  # keras.applications' "caffe": fed rgb, seen as bgr
        ([TURN, ("Div", [255.0]), ("Sub", MEAN), ("Div", STD)], "bgr"),
        ([("Div", [255.0]), ("Sub", MEAN[::-1]), ("Div", STD[::-1]), TURN], "bgr"),
        ([TURN, ("Div", [127.5]), ("Sub", [1.0]), TURN], "rgb"),  # turned around and back
        ([("Sub", [72.39, 82.91, 73.16])], "rgb"),  # another mean says nothing
    ],
)
def test_the_mean_tells_the_order_of_the_colours(tmp_path: Path, steps: list, color: str) -> None:
    path = network(tmp_path, [(*step, False) for step in steps])
    manifest, said = adopted(path, technique="semantic", labels=classes(tmp_path))
    (image,) = manifest.inputs
    assert (image.color, image.scale, image.mean) == (color, 1.0, (0.0,) * 3)
    assert any("from blue to red: it is fed bgr" in note for note in said) == (color == "bgr")


@pytest.mark.parametrize("steps", [[TURN], [TURN, ("Div", [127.5]), ("Sub", [1.0])]])
def test_channels_that_are_turned_around_are_asked_about(tmp_path: Path, steps: list) -> None:
    path = network(tmp_path, [(*step, False) for step in steps])
    with pytest.raises(SegrtError, match="turns the channels of its input 'image' around") as refused:
        adopted(path, technique="semantic", labels=classes(tmp_path))
    assert "--color rgb or bgr" in str(refused.value)
    for color in ("rgb", "bgr"):
        manifest, _ = adopted(path, technique="semantic", labels=classes(tmp_path), color=color)
        assert manifest.inputs[0].color == color


def test_a_slice_turns_channels_around_and_not_columns(tmp_path: Path) -> None:
    for start, axis, turned in ((-1.0, 1, True), (5.0, -3, True), (-1.0, 3, False), (-1.0, -1, False)):
        path = network(tmp_path, [("Slice", [start, -(2.0**62), axis, -1.0], False)])
        if turned:
            with pytest.raises(SegrtError, match="turns the channels"):
                adopted(path, technique="semantic", labels=classes(tmp_path))
        else:
            adopted(path, technique="semantic", labels=classes(tmp_path))


def test_axes_are_counted_from_the_end_and_transposes_may_reverse_them(tmp_path: Path) -> None:
    path = network(tmp_path, [(*TURN, False)])
    model = onnx.load(path)
    model.graph.node[0].attribute[0].i = -3
    assert arithmetic_on_input(Graph(model, path, False)) is not None
    model.graph.node[0].attribute[0].i = 0
    assert arithmetic_on_input(Graph(model, path, False)) is None
    # (1, 3, 64, 96) becomes (96, 64, 3, 1)
    model.graph.node.insert(0, helper.make_node("Transpose", ["image"], ["reversed"]))
    model.graph.node[1].input[0] = "reversed"
    assert arithmetic_on_input(Graph(model, path, False)) is None
    model.graph.node[1].attribute[0].i = 2
    assert arithmetic_on_input(Graph(model, path, False)) is not None


def test_a_network_of_keras_that_turns_channels_is_still_fed_as_those_are(tmp_path: Path) -> None:
    path = network(tmp_path, [(*TURN, False)])
    model = onnx.load(path)
    model.producer_name = "tf2onnx"
    onnx.save(model, path)
    with pytest.raises(SegrtError, match="turns the channels"):
        adopted(path, technique="semantic", labels=classes(tmp_path))
    manifest, _ = adopted(path, technique="semantic", labels=classes(tmp_path), color="bgr")
    assert (manifest.inputs[0].scale, manifest.inputs[0].mean) == (pytest.approx(1 / 127.5), (1.0,) * 3)


def test_what_is_only_usual_with_an_exporter_gives_way_to_what_the_network_does(tmp_path: Path) -> None:
    path = network(tmp_path, [("Div", [255.0], False), ("Sub", MEAN, False), ("Div", STD, False)])
    model = onnx.load(path)
    for name, shape in (("dets", [1, 5, 4]), ("labels", [1, 5, 4]), ("masks", [1, 5, 16, 24])):
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    found = read_convention(Graph(model, path, False))
    assert (found.exporter, found.normalisation) == ("RF-DETR", Normalisation(1.0))
    assert f"the network normalises its picture itself: {BYTES}" in found.notes


def test_what_asks_for_the_pictures_size_does_not_hide_the_steps(tmp_path: Path) -> None:
    """Networks of any size resize their result to the input's Shape."""
    path = network(tmp_path, [("Div", [255.0], False), ("Sub", MEAN, False), ("Div", STD, False)])
    model = onnx.load(path)
    model.graph.node.append(helper.make_node("Shape", ["image"], ["size"]))
    onnx.save(model, path)
    _, notes = adopted(path, technique="semantic", labels=classes(tmp_path))
    assert f"the network normalises its picture itself: {BYTES}" in notes


def test_files_that_normalise_beside_a_network_that_does_are_asked_about(tmp_path: Path) -> None:
    path = network(tmp_path, [("Div", [255.0], False), ("Sub", MEAN, False), ("Div", STD, False)])
    beside(path, config=CONFIG, preprocessor_config={"image_processor_type": "SegformerImageProcessor"})
    with pytest.raises(SegrtError, match="but the network begins by normalising it, too; say with --scale"):
        adopted(path)
    manifest, _ = adopted(path, scale=1.0)
    assert (manifest.inputs[0].scale, manifest.inputs[0].mean) == (1.0, (0.0,) * 3)


def test_steps_beside_another_use_of_the_picture_say_nothing(tmp_path: Path) -> None:
    path = network(tmp_path, [("Div", [255.0], False)], used_twice=True)
    _, notes = adopted(path, technique="semantic", labels=classes(tmp_path))
    assert not any("normalises its picture itself" in note for note in notes)


def test_the_user_has_the_last_word(tmp_path: Path) -> None:
    path = network(tmp_path, [("Div", [255.0], False)])
    manifest, _ = adopted(path, technique="semantic", labels=classes(tmp_path), scale=0.5)
    assert manifest.inputs[0].scale == 0.5


def classes(folder: Path) -> str:
    """A file of three classes."""
    path = folder / "classes.txt"
    path.write_text("a\nb\nc\n")
    return str(path)
