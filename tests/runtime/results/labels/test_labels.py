"""The built-in class lists, and class lists from files."""

import json
from pathlib import Path

import pytest

from segrt.runtime.errors import SegrtError
from segrt.runtime.results.labels.class_lists import NAMES, read_labels, spread

# name: (classes, things, first, last)
FACTS = {
    "voc": (21, 20, "background", "tv monitor"),
    "coco": (80, 80, "person", "toothbrush"),
    "coco-panoptic": (133, 80, "person", "rug-merged"),
    "cityscapes": (19, 8, "road", "bicycle"),
    "ade20k": (150, 100, "wall", "flag"),
    "object": (1, 1, "object", "object"),
}


@pytest.mark.parametrize("name", NAMES)
def test_built_in_lists_have_the_known_shape(name: str) -> None:
    labels = read_labels(name, things=False)
    count, things, first, last = FACTS[name]
    assert (len(labels), sum(label.isthing for label in labels)) == (count, things)
    assert (labels[0].name, labels[-1].name) == (first, last)
    for values in ([label.name for label in labels], [label.dataset_id for label in labels]):
        assert len(set(values)) == count
    assert [label.dataset_id for label in labels] == sorted(label.dataset_id for label in labels)


def test_known_ids_and_colours() -> None:
    by_name = {label.name: label for label in read_labels("coco-panoptic", things=False)}
    assert (by_name["toothbrush"].dataset_id, by_name["banner"].dataset_id) == (90, 92)
    assert by_name["road"].color == (128, 64, 128)
    voc = read_labels("voc", things=False)
    assert [voc[index].name for index in (0, 1, 7, 15)] == ["background", "aeroplane", "car", "person"]
    assert {label.name: label.dataset_id for label in read_labels("cityscapes", things=False)}["train"] == 31
    ade = read_labels("ade20k", things=False)
    assert [(label.name, label.dataset_id) for label in (ade[12], ade[80])] == [("person", 13), ("bus", 81)]


def test_coco_panoptic_is_that_of_the_annotations(fixtures: Path) -> None:
    content = json.loads((fixtures / "coco_panoptic/panoptic.json").read_text())
    labels = read_labels("coco-panoptic", things=False)
    assert [(label.dataset_id, label.name, label.isthing) for label in labels] == [
        (entry["id"], entry["name"], bool(entry["isthing"])) for entry in content["categories"]
    ]
    assert read_labels("coco", things=False) == labels[:80]


def test_a_text_file_has_a_name_in_each_line(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("background\ncar\n\n person \n")
    labels = read_labels(str(tmp_path / "names.txt"), things=True)
    assert [(label.name, label.dataset_id, label.isthing) for label in labels] == [
        ("background", 0, False), ("car", 1, True), ("person", 2, True),
    ]  # fmt: skip
    assert labels[0].color == (0, 0, 0)
    assert labels[1].color != labels[2].color


@pytest.mark.parametrize("title", ["name,r,g,b\n", "name, r, g, b\n", ""])
def test_camvids_csv_has_names_and_colours(tmp_path: Path, title: str) -> None:
    (tmp_path / "class_dict.csv").write_text(f'{title}road,128,64,128\n"pole, lamp", 1,2,3\n')
    labels = read_labels(str(tmp_path / "class_dict.csv"))
    assert [(label.name, label.dataset_id, label.color) for label in labels] == [
        ("road", 0, (128, 64, 128)), ("pole, lamp", 1, (1, 2, 3)),
    ]  # fmt: skip


@pytest.mark.parametrize("wrap", [lambda entries: entries, lambda entries: {"categories": entries, "images": []}])
def test_json_files_are_lists_or_coco_files(tmp_path: Path, wrap: object) -> None:
    entries = [{"id": 7, "name": "road", "isthing": 0, "color": [1, 2, 3], "supercategory": "x"}, {"name": "car"}]
    (tmp_path / "l.json").write_text(json.dumps(wrap(entries)))  # type: ignore[operator]
    road, car = read_labels(str(tmp_path / "l.json"), things=True)
    assert (road.name, road.dataset_id, road.isthing, road.color) == ("road", 7, False, (1, 2, 3))
    assert (car.dataset_id, car.isthing) == (1, True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no classes"),
        (b"[", "Input data was truncated"),
        (b'[{"id": 1}]', "missing required field `name`"),
        (b'{"images": []}', "missing required field `categories`"),
        (b'[{"name": "x", "color": [1, 2, 999]}]', "color"),
        (b"\xff\xfe\x00", "is no text"),
        (b'[{"name": "a", "id": 1}, {"name": "b", "id": 1}]', "1 is there twice"),
        (b"name,r,g,b\nroad,128,64,900", "color"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(SegrtError, match=rf"--labels .*labels: .*{message}.*voc, coco"):
        read_labels(str(path), things=False)
    with pytest.raises(SegrtError, match="cannot be read"):
        read_labels("no-such-list", things=False)


def test_spreading_puts_classes_at_their_own_ids() -> None:
    labels = spread(read_labels("coco", things=True), 91)
    assert len(labels) == 91
    assert (labels[1].name, labels[90].name, labels[12].name) == ("person", "toothbrush", "unused 12")
