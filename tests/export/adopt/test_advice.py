"""What a refusal advises gets further: it is followed here, one refusal after the other."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from constant_networks import HEIGHT, WIDTH, constant_model, metadata, yolo_table
from foreign_networks import float_model

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.runtime import cli
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import SegrtError
from segrt.runtime.preprocess.input_spec import Resize

Make = Callable[[SimpleNamespace], onnx.ModelProto]


def maps(*names: str) -> Make:
    """A network with a class map under each name."""
    ids = np.repeat(np.arange(3), 8)[None, None].repeat(16, 1).reshape(1, 16, 24)
    return lambda _: constant_model(dict.fromkeys(names, ids))


def free_layout(tiny: SimpleNamespace) -> onnx.ModelProto:
    model = float_model(tiny, dims=("batch", "height", "width"))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "channels"
    return model


def three_by_three(_: SimpleNamespace) -> onnx.ModelProto:
    return constant_model({"logits": np.zeros((1, 3, 3, 3), np.float32)}, shape=(1, 3, 3, 3))


def yolo(_: SimpleNamespace) -> onnx.ModelProto:
    table, prototypes = yolo_table(np.random.default_rng(1))
    return constant_model({"output0": table[None], "output1": prototypes})


def nameless_yolo(_: SimpleNamespace) -> onnx.ModelProto:
    table, prototypes = yolo_table(np.random.default_rng(1))
    return constant_model({"output0": table[None], "output1": prototypes}, metadata(names="none"))


def boxes(*ids: int) -> Make:
    """A detector that finds objects of these ids."""
    count = len(ids)
    outputs = {
        "boxes": np.tile(np.array([4, 4, 40, 40], np.float32), (1, count, 1)),
        "labels": np.array([ids], np.int64),
        "scores": np.full((1, count), 0.9, np.float32),
        "masks": np.full((1, count, 14, 14), 0.9, np.float32),
    }
    return lambda _: constant_model(outputs)


def two_tables(_: SimpleNamespace) -> onnx.ModelProto:
    logits = np.zeros((1, 5, 4), np.float32)
    logits[..., 3] = 9
    masks = np.zeros((1, 5, 16, 24), np.float32)
    return constant_model({"a": logits, "b": logits + 1, "c": masks})


def void_map(_: SimpleNamespace) -> onnx.ModelProto:
    ids = np.zeros((1, 16, 24), np.int64)
    ids[:, :8] = 255
    return constant_model({"map": ids})


def bytes_model(tiny: SimpleNamespace) -> onnx.ModelProto:
    model: onnx.ModelProto = tiny.class_map_model()
    return model


SEMANTIC = {"technique": "semantic"}
INSTANCE = {"technique": "instance"}
# name: (network, options, what is refused and advised, the advised options; None leaves one out)
CASES: dict[str, tuple[Make, dict[str, Any], str, dict[str, Any]]] = {
    "technique": (maps("map"), {}, "add --technique semantic, instance or panoptic", SEMANTIC),
    "labels": (maps("map"), {**SEMANTIC, "labels": None}, "add --labels voc, coco.* or a file", {"labels": "three"}),
    "other labels": (
        maps("map"),
        {**SEMANTIC, "labels": "two"},
        "id 2, but the bundle has 2 labels; adopt it again with its own labels",
        {"labels": "three"},
    ),
    "void": (void_map, SEMANTIC, "with --void-value if this id means no class", {"void_value": 255}),
    "layout": (three_by_three, SEMANTIC, "add --layout NHWC or NCHW", {"layout": "NCHW"}),
    "free layout": (free_layout, {**SEMANTIC, "size": (64, 96)}, "add --layout NHWC or NCHW", {"layout": "NCHW"}),
    "layout that is not": (maps("map"), {**SEMANTIC, "layout": "NHWC"}, "leave --layout out", {"layout": None}),
    "size": (
        lambda tiny: float_model(tiny, dims=("n", "h", "w")),
        SEMANTIC,
        "add --size HEIGHTxWIDTH",
        {"size": (64, 96)},
    ),
    "fixed size": (maps("map"), {**SEMANTIC, "size": (9, 9)}, "leave --size out", {"size": None}),
    "bytes": (bytes_model, {**SEMANTIC, "scale": 1.0}, "leave it out", {"scale": None}),
    "two maps": (
        maps("one", "other"),
        SEMANTIC,
        "name them with --head ROLE=NAME, ROLE one of class_map",
        {"heads": {"class_map": "other"}},
    ),
    "wrong role": (
        maps("map"),
        {**SEMANTIC, "heads": {"semantic_logits": "map"}},
        "or for this one class_map",
        {"heads": {"class_map": "map"}},
    ),
    "wrong output": (
        maps("map"),
        {**SEMANTIC, "heads": {"class_map": "x"}},
        "there are 'map'",
        {"heads": {"class_map": "map"}},
    ),
    "role too many": (
        lambda tiny: boxes(0, 1)(tiny),
        {**INSTANCE, "heads": {"class_map": "labels"}},
        r"but got int64 \[1, 2\]; name another output, or for this one class_ids",
        {"heads": {"class_ids": "labels"}},
    ),
    "queries": (two_tables, INSTANCE, "--head ROLE=NAME, ROLE one of class_logits", {"heads": {"class_logits": "a"}}),
    "classes of a YOLO": (
        yolo,
        {**INSTANCE, "labels": "one"},
        "predictions of 3 classes .* 1 labels; give its own with --labels",
        {"labels": "three"},
    ),
    "a class less of a YOLO": (
        yolo,
        {**INSTANCE, "labels": "two"},
        "lies as YOLOv8's predictions of 3 classes do, but there are 2 labels",
        {"labels": "three"},
    ),
    "a turned YOLOv5": (yolo, {**INSTANCE, "labels": "two"}, "turned YOLOv5; add --rows yolov5", {"rows": "yolov5"}),
    "names of a YOLO": (
        nameless_yolo,
        {"labels": None},
        "is no list of classes; give them with --labels",
        {"labels": "three"},
    ),
    "a rule's option": (maps("map"), {**SEMANTIC, "iou_threshold": 0.5}, "leave it out", {"iou_threshold": None}),
    "masks of no boxes": (yolo, {**INSTANCE, "masks": "box"}, "leave it out", {"masks": None}),
    "classes of queries": (
        two_tables,
        {**INSTANCE, "labels": "two", "heads": {"class_logits": "a"}},
        "has 2 classes, but the network has 3; give its own",
        {"labels": "three"},
    ),
    "precision": (maps("map"), {**SEMANTIC, "precision": "odd"}, "choose from fp32", {"precision": "fp32"}),
    "a label list's gap": (
        boxes(2, 3),
        {**INSTANCE, "first_class": 0},
        "adopt it with --first-class 1",
        {"first_class": 1},
    ),
    "ids beyond the labels": (
        boxes(0, 2),
        {**INSTANCE, "labels": "two"},
        "adopt it with its own --labels",
        {"labels": "three"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_advice_is_followed_and_gets_further(tiny: SimpleNamespace, tmp_path: Path, case: str) -> None:
    make, options, message, advice = CASES[case]
    lists = {"one": "a\n", "two": "a\nb\n", "three": "a\nb\nc\n"}
    for name, text in lists.items():
        (tmp_path / f"{name}.txt").write_text(text)

    def adopt(**known: Any) -> None:
        chosen = {"labels": "three", **known}
        if chosen["labels"] is not None:
            chosen["labels"] = str(tmp_path / f"{chosen['labels']}.txt")
        given = {name: value for name, value in chosen.items() if value is not None}
        adopt_network(path, tmp_path / "out", AdoptOptions(overwrite=True, **given))

    path = tiny.save(make(tiny))
    with pytest.raises(SegrtError, match=message) as refused:
        adopt(**options)
    assert "\n" not in str(refused.value)
    adopt(**{**options, **advice})
    read_bundle(tmp_path / "out")


def test_a_grey_input_is_not_sent_to_layout(tiny: SimpleNamespace, tmp_path: Path) -> None:
    model = constant_model({"logits": np.zeros((1, 3, 16, 24), np.float32)}, shape=(1, 7, HEIGHT, WIDTH))
    with pytest.raises(SegrtError) as refused:
        adopt_network(tiny.save(model), tmp_path / "out", AdoptOptions("semantic", "voc"))
    assert "--layout" not in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "message", "advice"),
    [
        (["--antialias"], "are parts of --resize; add it, letterbox for instance", ["--resize", "letterbox"]),
        (["--pad-side", "bottom-right"], "are parts of --resize; add it", ["--resize", "letterbox"]),
        (["--rounding", "half-up"], "are parts of --resize; add it", ["--resize", "letterbox"]),
        (["--shortest-edge", "48"], "must be given with --resize shortest-edge", ["--resize", "shortest-edge"]),
        (
            ["--resize", "letterbox", "--antialias", "--interpolation", "area"],
            "needs --interpolation linear or cubic",
            ["--interpolation", "cubic"],
        ),
    ],
)
def test_advice_on_resizing_is_followed(
    tiny: SimpleNamespace,
    tmp_path: Path,
    names: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
    advice: list[str],
) -> None:
    path = str(tiny.save(float_model(tiny)))
    base = ["segrt", "adopt", path, "--out", str(tmp_path / "b"), "--technique", "semantic", "--labels", names]

    def run(*more: str) -> Any:
        monkeypatch.setattr("sys.argv", [*base, *more])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code

    assert run(*arguments) == 2
    assert message in capsys.readouterr().err
    assert not run(*arguments, *advice)


@pytest.mark.parametrize(("side", "corner"), [("both", (8, 0)), ("bottom-right", (0, 0))])
def test_the_side_of_the_padding_is_what_was_said(
    tiny: SimpleNamespace,
    tmp_path: Path,
    names: str,
    monkeypatch: pytest.MonkeyPatch,
    side: str,
    corner: tuple[int, int],
) -> None:
    from segrt.runtime.preprocess.picture import network_inputs

    path, out = str(tiny.save(float_model(tiny))), tmp_path / "b"
    base = ["segrt", "adopt", path, "--out", str(out), "--technique", "semantic", "--labels", names]
    more = ["--resize", "letterbox", "--pad-side", side, "--pad", "10,20,30", "--antialias", "--rounding", "half-up"]
    monkeypatch.setattr("sys.argv", [*base, *more])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    manifest = read_bundle(out).manifest
    expected = Resize(
        "letterbox",
        "linear",
        True,
        pad=(10, 20, 30),
        pad_side=side.replace("-", "_"),
        rounding="half_up",  # type: ignore[arg-type]
    )
    assert manifest.image_input.resize == expected
    # A picture of 64 x 192 is shown in 16 x 48 pixels of 32 x 48, shrunk with a filter as wide as what it shrinks.
    stripes = np.zeros((64, 192, 3), np.uint8)
    stripes[:, ::2] = 255
    arrays, geometry = network_inputs(manifest.inputs, stripes)
    assert geometry.window[:2] == corner
    shown = arrays["x"][0, 0, corner[0] : corner[0] + 16] * 0.229 + 0.485
    assert np.abs(shown[:, 2:-2] - 0.5).max() < 0.01
    black = arrays["x"][0, :, -1, 0]
    np.testing.assert_allclose(
        black * [0.229, 0.224, 0.225] + [0.485, 0.456, 0.406], np.array([10, 20, 30]) / 255, atol=1e-5
    )


def test_a_stretched_picture_has_no_padding_to_place(
    tiny: SimpleNamespace,
    tmp_path: Path,
    names: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = ["segrt", "adopt", str(tiny.save(float_model(tiny))), "--out", str(tmp_path / "b"), "--labels", names]
    monkeypatch.setattr("sys.argv", [*base, "--technique", "semantic", "--resize", "stretch", "--pad-side", "both"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert "--pad-side both: --resize stretch pads nothing; leave one of them out" in capsys.readouterr().err
