"""Networks that normalise their picture themselves are fed what their first steps expect."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from side_file_networks import adopted

BYTES, UNITS = "it is fed 0 to 255", "it is fed 0 to 1"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def network(folder: Path, steps: list[tuple[str, list[float], bool]], *, used_twice: bool = False) -> Path:
    """A network (1, 3, 64, 96) that begins with `steps`: operation, constant, whether the constant comes first."""
    nodes, constants, name = [], [], "image"
    for index, (kind, numbers, is_first) in enumerate(steps):
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
        ([("Sub", [123.7, 116.8, 103.9], False)], None),  # a mean alone says nothing of 0 to 1
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
