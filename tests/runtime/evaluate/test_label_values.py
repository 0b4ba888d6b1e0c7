"""Label pictures whose values do not fit the class list: void where it was said, mapped, or named with the remedy."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.cli.eval import evaluate
from segrt.runtime.cli.tune import tune
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import open_dataset
from segrt.runtime.evaluate.datasets.label_values import LabelValues
from segrt.runtime.evaluate.tuning import tune_thresholds
from segrt.runtime.results import Label
from segrt.runtime.segmenter import open_segmenter

TWO = (Label("ground", 0, False, (0, 0, 0)), Label("object", 1, False, (255, 255, 255)))
THREE = (*TWO, Label("sky", 2, False, (0, 0, 255)))
PATH = Path("label.png")


def folders(root: Path, labels: dict[str, Any], pictures: dict[str, Any] | None = None) -> Path:
    """Write label pictures and, of the same size, the pictures that they are of; return the labels' folder."""
    for name in ("labels", "images"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for stem, values in labels.items():
        Image.fromarray(values).save(root / "labels" / f"{stem}.png")
        grey = np.full((*values.shape[:2], 3), 90, np.uint8)
        Image.fromarray(grey if pictures is None else pictures[stem]).save(root / "images" / f"{stem}.png")
    return root / "labels"


def values(picture: Any, **options: Any) -> Any:
    return LabelValues(THREE, **options).class_map(np.asarray(picture), PATH).tolist()


def test_a_class_that_is_ignored_is_void() -> None:
    assert values(np.uint8([[0, 1, 2]])) == [[0, 1, 2]]
    assert values(np.uint8([[0, 1, 2]]), ignored=frozenset({1})) == [[0, 255, 2]]
    colors = np.uint8([[[0, 0, 0], [255, 255, 255], [0, 0, 255]]])
    assert values(colors) == [[0, 1, 2]]
    assert values(colors, ignored=frozenset({2, 0})) == [[255, 1, 255]]


def test_usual_void_yields_to_a_class_of_that_id() -> None:
    labels = (TWO[0], Label("object", 255, False, (9, 9, 9)))
    assert LabelValues(labels).class_map(np.uint8([[0, 255]]), PATH).tolist() == [[0, 1]]
    stated = LabelValues(labels, frozenset({255}), frozenset())
    assert stated.class_map(np.uint8([[0, 255]]), PATH).tolist() == [[0, 255]]


def test_values_stand_for_what_was_said() -> None:
    assert values(np.uint8([[0, 255, 128]]), mapped=((255, 1), (128, 2))) == [[0, 1, 2]]
    assert values(np.uint16([[0, 40000, 1]]), mapped=((40000, 255),)) == [[0, 255, 1]]
    assert values(np.uint8([[[0] * 3, [255] * 3]]), mapped=((255, 2),)) == [[0, 2]]
    # A value that stands for an ignored class is void, too.
    assert values(np.uint8([[0, 9]]), mapped=((9, 1),), ignored=frozenset({1})) == [[0, 255]]


@pytest.mark.parametrize(
    ("picture", "options", "message"),
    [
        (np.uint8([[0, 7]]), {}, r"holds class id 7, .*; add it, --map-values 7=ID or --ignore-label 7$"),
        (np.uint8([[[9, 8, 7]]]), {}, r"holds colour \(9, 8, 7\), .* give its colours with --labels FILE, name,r,g,b"),
        (np.uint8([[[9, 9, 9]]]), {}, r"or say which ids its grey values are, --map-values 9=ID$"),
        (np.uint8([[[9, 8, 7]]]), {"mapped": ((9, 1),)}, "is a coloured picture, which has no values for --map-values"),
    ],
)
def test_what_means_nothing_is_refused_with_remedies_that_fit(picture: Any, options: Any, message: str) -> None:
    with pytest.raises(SegrtError, match=message):
        values(picture, **options)


@pytest.mark.parametrize(
    ("mapped", "message"),
    [
        (((255, 7),), r"^--map-values 255=7: no class has id 7; there are 0, 1, 2$"),
        (((255, 1), (255, 2)), r"^--map-values 255=2: 255 stands for 1 already$"),
    ],
)
def test_a_map_to_nothing_or_to_two_is_refused(mapped: Any, message: str) -> None:
    with pytest.raises(SegrtError, match=message):
        LabelValues(THREE, mapped=mapped)


def test_what_a_data_set_does_not_have_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps({"images": [], "annotations": [{}], "categories": [{"id": 1, "name": "a"}]}))
    for options, name in (({"ignored": (1,)}, "--ignore-label"), ({"mapped": ((255, 1),)}, "--map-values")):
        for address in (file, "street://?seed=1&frames=1&size=64x96"):
            with pytest.raises(SegrtError, match=f"^{name} is for label pictures, but .* leave it out"):
                open_dataset(address, **options)


# Rows by the true class: what eval has to say of two pictures of thirds, red, green and blue from left to right.
def evaluated(bundle: Path, labels: Path, *options: str) -> tuple[Any, Any]:
    out = labels.parent / "out.json"
    done = CliRunner().invoke(evaluate, [str(bundle), "--annotations", str(labels), "--json", str(out), *options])
    if done.exception is not None:
        return done, None
    return done, json.loads(out.read_text())


def test_ignoring_a_class_leaves_it_out_of_the_figures(tiny: SimpleNamespace, tmp_path: Path) -> None:
    picture = tiny.thirds(24, 48)[..., ::-1].copy()
    truth = np.full((24, 48), 10, np.uint8)
    truth[:, 16:32], truth[:, 32:] = 30, 30  # green is wrong: its pixels are called blue
    labels = folders(tmp_path, {"a": truth}, {"a": picture})
    bundle = tiny.bundle("argmax")
    _, whole = evaluated(bundle, labels)
    assert whole["metrics"]["miou"] == pytest.approx((1 + 0.5) / 2, abs=0.02)
    truth[:, 16:32] = 20
    labels = folders(tmp_path, {"a": truth}, {"a": picture})
    _, without = evaluated(bundle, labels, "--ignore-label", "20")
    assert without["per_class"]["green"]["iou"] is None
    truth[:, 16:32] = 255
    _, void = evaluated(bundle, folders(tmp_path, {"a": truth}, {"a": picture}), "--ignore-label", "255")
    assert without["metrics"] == void["metrics"]


MASK = np.zeros((24, 48), np.uint8)
MASK[:, 16:32] = 255


@pytest.fixture
def green(tiny: SimpleNamespace, tmp_path: Path) -> tuple[Path, Path]:
    """A bundle that finds green, and a mask of 0 and 255 of it; the ids of its classes are 10 and 20."""
    return tiny.bundle("binary"), folders(
        tmp_path, {"a": np.where(MASK, 255, 10).astype(np.uint8)}, {"a": tiny.thirds(24, 48)[..., ::-1].copy()}
    )


def test_a_mask_of_255_is_refused_and_both_remedies_work(green: tuple[Path, Path]) -> None:
    done, _ = evaluated(*green)
    assert "no pixel is 'green', and 33.3% are void; if 255 stands for 'green', add --map-values 255=20; " in str(
        done.exception
    )
    assert str(done.exception).endswith("if it is void, --ignore-label 255")
    _, right = evaluated(*green, "--map-values", "255=20")
    assert right["metrics"]["miou"] > 0.95
    assert right["per_class"]["green"]["iou"] > 0.95
    _, void = evaluated(*green, "--ignore-label", "255")
    assert void["per_class"]["green"]["iou"] is None


def test_several_processes_refuse_it_too(green: tuple[Path, Path]) -> None:
    done, _ = evaluated(*green, "--workers", "2")
    assert "add --map-values 255=20" in str(done.exception)


def test_a_lost_class_among_several_is_warned_of(tiny: SimpleNamespace, tmp_path: Path) -> None:
    truth = np.full((24, 48), 10, np.uint8)
    truth[:, 16:32], truth[:, 32:] = 255, 20
    bundle = tiny.bundle("argmax")
    done, _ = evaluated(bundle, folders(tmp_path, {"a": truth}))
    assert "warning: " in done.stderr
    assert "no pixel is 'blue', and 33.3% are void; if 255 stands for 'blue', add --map-values 255=30" in done.stderr
    truth[:, 18:32] = 20  # little void is a border
    done, _ = evaluated(bundle, folders(tmp_path, {"a": truth}))
    assert "warning" not in done.stderr


def test_the_case_of_the_field_is_refused(fixtures: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from segrt.export.adopt.adopt_options import AdoptOptions
    from segrt.export.adopt.adopting import adopt_network

    folder = fixtures / "field" / "mask255"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    out = tmp_path / "zeros"
    adopt_network(folder / "zeros.onnx", out, AdoptOptions(technique="semantic", labels=str(folder / "two.txt")))
    command = [str(out), "--annotations", str(folder / "labels"), "--images", str(folder / "images")]
    assert "--map-values 255=1" in str(CliRunner().invoke(evaluate, command).exception)
    path = tmp_path / "figures.json"
    done = CliRunner().invoke(evaluate, [*command, "--map-values", "255=1", "--json", str(path)])
    assert done.exception is None
    # The network says background everywhere: half of it is right.
    assert json.loads(path.read_text())["per_class"] == {
        "background": {"iou": 0.5, "accuracy": 1.0},
        "object": {"iou": 0.0, "accuracy": 0.0},
    }


def test_tuning_finds_the_cut_of_the_highest_miou(tiny: SimpleNamespace, tmp_path: Path) -> None:
    # The object is green from 140 on: logit (140 / 8 - 16) = 1.5, probability 0.82.
    rows, pictures = {}, {}
    rng = np.random.default_rng(1)
    for stem in ("a", "b"):
        level = np.kron(rng.integers(100, 180, (8, 12)), np.ones((4, 4))).astype(np.uint8)
        pictures[stem] = np.stack([level * 0, level, level * 0], axis=-1)
        rows[stem] = np.where(level > 140, 255, 10).astype(np.uint8)
    labels = folders(tmp_path, rows, pictures)
    bundle = tiny.bundle("binary")
    dataset = open_dataset(labels, labels=read_bundle(bundle).manifest.labels, mapped=((255, 20),))
    with open_segmenter(read_bundle(bundle), threads=1) as segmenter:
        tuned = tune_thresholds(segmenter, dataset)
    assert tuned is not None
    assert tuned.metric == "miou"
    assert tuned.figure > tuned.before + 0.1
    assert 0.6 < tuned.thresholds["score_threshold"] < 0.95
    out = tmp_path / "tuned"
    command = [str(bundle), "--annotations", str(labels), "--out", str(out), "--budget", "drop<=1"]
    assert "--map-values 255=20" in str(CliRunner().invoke(tune, command).exception)
    assert not out.exists()
    done = CliRunner().invoke(tune, [*command, "--map-values", "255=20"])
    assert done.exception is None
    assert read_bundle(out).manifest.decode.options["score_threshold"] == tuned.thresholds["score_threshold"]


def test_tune_and_profile_take_common_and_mapped_classes_and_say_what_is_left_out(
    tiny: SimpleNamespace, tmp_path: Path
) -> None:
    from segrt.runtime.cli.profile import profile

    bundle, out = tiny.bundle("merge_queries"), tmp_path / "tuned"
    command = [str(bundle), "--annotations", "street://?seed=1&frames=2&width=64&height=48"]
    mapped = ["--map", "red=road", "--map", "green=car", "--common-classes"]
    measured = ["--frames", "10", "--warmup", "0", "--no-cold", "--source", "street://?width=64&height=48"]
    assert "add --map OWN=THEIRS" in str(CliRunner().invoke(tune, [*command, "--out", str(out)]).exception)
    for done in (
        CliRunner().invoke(tune, [*command, "--out", str(out), *mapped]),
        CliRunner().invoke(profile, [*command, *measured, *mapped]),
    ):
        assert done.exit_code == 0, done.output
        assert f"not evaluated: blue of {bundle}; sky, " in done.output
    done = CliRunner().invoke(tune, [*command, "--out", str(out), "--map", "red"])
    assert "must be OWN=THEIRS" in done.output
    assert "belong to --annotations DATA" in str(
        CliRunner().invoke(profile, [str(bundle), "--common-classes"]).exception
    )


def test_one_class_alone_is_no_measure(tiny: SimpleNamespace, tmp_path: Path) -> None:
    """What is wrongly called so would lie on void, where nothing counts."""
    (tmp_path / "one.json").write_text(json.dumps([{"name": "green", "id": 20}]))
    truth = np.where(MASK, 20, 255).astype(np.uint8)
    done, _ = evaluated(
        tiny.bundle("argmax"),
        folders(tmp_path, {"a": truth}),
        "--labels", str(tmp_path / "one.json"), "--common-classes",
    )  # fmt: skip
    assert "'green' is the only class to evaluate, and what is mistaken for it would be void" in str(done.exception)


def test_a_void_value_inside_the_labels_is_void(tiny: SimpleNamespace) -> None:
    from segrt.runtime import open_bundle
    from segrt.runtime.decode.class_map import ClassMap

    described = tiny.network("class_map")
    for void, wanted in ((None, [0, 1, 2]), (0, [255, 1, 2]), (2, [0, 1, 255])):
        network = described.__class__(**{**described.__dict__, "decode": ClassMap(void)})
        folder = tiny.bundle("class_map", network=network, out=f"void-{void}")
        with open_bundle(folder, threads=1) as segmenter:
            result: Any = segmenter(tiny.thirds(24, 48))
        assert result.class_map[12, [5, 24, 43]].tolist() == wanted
