"""What results say and do: names, counts, rows, parts of them, pictures, notebooks, supervision's detections."""

import dataclasses
import json
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import segrt.runtime.segmenter  # what draws
from segrt.runtime.draw import overlay
from segrt.runtime.errors import ImageError, SegrtError
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Region, Segment, SemanticResult, viewing
from segrt.runtime.results.on_screen import has_windows

LABELS = (
    Label("sky", 10, False, (90, 160, 220)),
    Label("car", 3, True, (40, 110, 240)),
    Label("<person>", 1, True, (230, 60, 80)),
)
PICTURE = np.full((40, 60, 3), 90, np.uint8)


def panoptic(image: np.ndarray | None = PICTURE) -> PanopticResult:
    """Sky above, two cars and a person below, void between them."""
    ids = np.zeros((40, 60), np.int32)
    ids[:20] = 7
    ids[20:, :20] = 3
    ids[20:, 25:35] = 4
    ids[30:, 40:] = 5
    segments = [
        Segment(7, 0, False, 0.9, 1200, (0, 0, 60, 20)),
        Segment(3, 1, True, 0.6, 400, (0, 20, 20, 20)),
        Segment(4, 1, True, 0.7, 200, (25, 20, 10, 20)),
        Segment(5, 2, True, 0.8, 200, (40, 30, 20, 10)),
    ]
    return PanopticResult(ids, segments, LABELS, image=image)


def semantic(image: np.ndarray | None = PICTURE) -> SemanticResult:
    return dataclasses.replace(panoptic(image).to_semantic(), image=image)


def instances(image: np.ndarray | None = PICTURE) -> InstanceResult:
    return dataclasses.replace(panoptic(image).to_instances(), image=image)


ALL = pytest.mark.parametrize("make", [panoptic, semantic, instances], ids=["panoptic", "semantic", "instance"])


def test_a_repr_names_what_was_found() -> None:
    assert repr(panoptic()) == "<PanopticResult width=60 height=40: 2 car, 1 <person>, sky>"
    assert repr(instances()) == "<InstanceResult width=60 height=40: 2 car, 1 <person>>"
    assert repr(semantic()) == "<SemanticResult width=60 height=40: sky, car, <person>>"
    empty = PanopticResult(np.zeros((2, 3), np.int32), [], LABELS)
    assert repr(empty) == "<PanopticResult width=3 height=2: nothing>"


def test_many_classes_are_cut_short() -> None:
    labels = tuple(Label(f"class {index}", index, False, (0, 0, 0)) for index in range(150))
    classes = np.arange(150, dtype=np.uint8).reshape(10, 15)
    assert repr(SemanticResult(classes, labels)).endswith("class 5, and 144 more>")


def test_lengths_and_items_are_those_of_what_was_found() -> None:
    assert [len(panoptic()), len(semantic()), len(instances())] == [4, 3, 3]
    assert [segment.name for segment in panoptic()] == ["sky", "car", "car", "<person>"]
    assert panoptic()[1].id == 3
    assert next(iter(semantic())) == Region(0, "sky", 1200, 0.5)
    first = next(iter(instances()))
    assert (first.name, first.class_id, first.area) == ("<person>", 2, 200)
    assert first.score == pytest.approx(0.8)
    assert first.box == (40, 30, 60, 40)
    np.testing.assert_array_equal(first.mask, panoptic().segment_ids == 5)
    assert panoptic().counts() == instances().counts() == {"car": 2, "<person>": 1}


def test_masks_are_those_of_segments_and_classes() -> None:
    result = panoptic()
    np.testing.assert_array_equal(result.mask(result[2]), result.segment_ids == 4)
    np.testing.assert_array_equal(semantic().mask("car"), (result.segment_ids == 3) | (result.segment_ids == 4))
    with pytest.raises(SegrtError, match="there is no id 9; ids are 7, 3, 4, 5"):
        result.mask(9)


def test_filters_keep_classes_and_scores() -> None:
    cars = panoptic().filter("car", score_threshold=0.65)
    assert [segment.id for segment in cars] == [4]
    np.testing.assert_array_equal(cars.segment_ids, np.where(panoptic().segment_ids == 4, 4, 0))
    assert cars.image is PICTURE
    assert [item.name for item in panoptic().filter(["Sky", 2])] == ["sky", "<person>"], "in any case"
    some = instances().filter(["car", 2], score_threshold=0.7)
    assert some.names == ["<person>", "car"]
    assert [item.area for item in some] == [200, 200]
    assert len(instances().filter(score_threshold=1.0)) == 0
    road = semantic().filter(["sky"])
    np.testing.assert_array_equal(road.class_map, np.where(semantic().class_map == 0, 0, 255))
    assert semantic().filter() is not None


def test_a_full_map_of_bytes_gets_room_for_void() -> None:
    labels = tuple(Label(f"class {index}", index, False, (0, 0, 0)) for index in range(256))
    result = SemanticResult(np.arange(256, dtype=np.uint8).reshape(16, 16), labels)
    kept = result.filter(255)
    assert kept.class_map.dtype == np.uint16
    assert (kept.class_map == np.where(result.class_map == 255, 255, 65535)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: panoptic().filter("cra"), "classes: there is no class 'cra'; did you mean 'car'"),
        (lambda: panoptic().filter("zebra crossing"), "no class 'zebra crossing'; it has sky, car, <person>"),
        (lambda: instances().filter(3), "no class 3; ids are 0 to 2"),
        (lambda: instances().filter(-1), "no class -1; ids are 0 to 2"),
        (lambda: instances().filter(score_threshold=50), "score_threshold must be 0 to 1, but got 50"),
        (lambda: semantic().filter("car", score_threshold=0.5), "a semantic result has no scores"),
    ],
)
def test_what_cannot_be_filtered_is_said(call, message: str) -> None:
    with pytest.raises(SegrtError, match=message):
        call()


@ALL
def test_rows_and_coco_entries_are_plain_json(make) -> None:
    rows = json.loads(json.dumps(make().to_rows()))
    assert {row["name"] for row in rows} >= {"car", "<person>"}
    assert len(rows) == len(make())
    assert json.loads(json.dumps(make().to_coco(12)))


def test_coco_entries_are_numbered_as_the_data_set() -> None:
    assert [entry["category_id"] for entry in semantic().to_coco(12)] == [10, 3, 1]
    entry = instances().to_coco("photo")[0]
    assert (entry["image_id"], entry["category_id"], entry["score"]) == ("photo", 1, 0.8)
    assert "bbox" not in entry
    annotation = panoptic().to_coco(12)
    assert annotation["file_name"] == "12.png"
    assert panoptic().to_coco(12, "a.png")["file_name"] == "a.png"


@ALL
def test_a_plot_is_the_overlay_on_the_picture_which_stays_as_it_is(make, tmp_path: Path) -> None:
    result, before = make(), PICTURE.copy()
    np.testing.assert_array_equal(
        result.plot(alpha=0.7, scores=False), overlay(PICTURE, result, alpha=0.7, scores=False)
    )
    assert (result.plot() != PICTURE).any()
    np.testing.assert_array_equal(PICTURE, before)
    other = np.full_like(PICTURE, 30)
    np.testing.assert_array_equal(result.plot(other), overlay(other, result))
    assert result.save(tmp_path / "drawn.png") == tmp_path / "drawn.png"
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "drawn.png")), result.plot())
    with pytest.raises(ImageError, match=r"drawn.txt: has no suffix of a picture"):
        result.save(tmp_path / "drawn.txt")


def test_a_plot_paints_things_alone_and_in_place() -> None:
    result, frame = panoptic(), PICTURE.copy()
    wanted = overlay(PICTURE, result, stuff=False)
    assert (wanted != overlay(PICTURE, result)).any()
    assert result.plot(frame, stuff=False, out=frame) is frame
    np.testing.assert_array_equal(frame, wanted)


def test_values_beyond_bytes_are_made_visible() -> None:
    wide = np.linspace(0, 60000, 2400).astype(np.uint16).reshape(40, 60)
    assert panoptic(wide).plot().dtype == np.uint8
    assert panoptic(wide).plot().shape == (40, 60, 3)


@ALL
def test_a_result_without_a_picture_asks_for_it(make) -> None:
    with pytest.raises(SegrtError, match=r"does not know its picture; give it, plot\(image\)"):
        make(None).plot()
    with pytest.raises(ImageError, match=r"height 40 and width 60, but has shape \(20, 60, 3\)"):
        make(None).plot(PICTURE[:20])
    with pytest.raises(ImageError, match="image must not be of type str"):
        make(None).plot("photo.jpg")
    assert make(None)._repr_png_() is None
    assert "<img" not in make(None)._repr_html_()


def test_what_draws_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert segrt.runtime.segmenter
    monkeypatch.setattr(viewing, "DRAWERS", viewing.Registry("drawer"))
    with pytest.raises(SegrtError, match="what draws is not loaded; `from"):
        panoptic().plot()


@ALL
def test_a_notebook_shows_picture_and_table_with_names_escaped(make) -> None:
    text = make()._repr_html_()
    assert "<img" in text
    assert "data:image/jpeg;base64," in text
    assert "&lt;person&gt;" in text
    assert "<person>" not in text
    assert text.count("<tr>") == len(make()) + 1
    png = make()._repr_png_()
    assert png is not None
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), make().plot())


def test_large_pictures_are_reduced_for_notebooks() -> None:
    wide = SemanticResult(np.zeros((300, 3000), np.uint8), LABELS, image=np.zeros((300, 3000, 3), np.uint8))
    png = wide._repr_png_()
    assert png is not None
    assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).shape == (96, 960, 3)


def test_show_needs_a_display_and_uses_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(SegrtError, match=r"there is no display \(DISPLAY is not set\); save\(path\) writes"):
        panoptic().show()
    shown: list[object] = []
    monkeypatch.setenv("DISPLAY", ":9")
    monkeypatch.setattr("segrt.runtime.results.on_screen.has_windows", lambda _: False)
    monkeypatch.setattr("PIL.ImageShow.show", lambda image, title: shown.append((image.size, title)) or True)
    panoptic().show()
    assert shown == [((60, 40), "2 car, 1 <person>, sky")]
    monkeypatch.setattr("PIL.ImageShow.show", lambda *_: False)
    with pytest.raises(SegrtError, match="neither OpenCV's windows nor a viewer"):
        panoptic().show()
    monkeypatch.setattr("segrt.runtime.results.on_screen.has_windows", lambda _: True)
    for name in ("imshow", "waitKey", "destroyWindow"):
        monkeypatch.setattr(cv2, name, lambda *_, name=name: shown.append(name))
    panoptic().show()
    assert shown[1:] == ["imshow", "waitKey", "destroyWindow"]
    shell = SimpleNamespace(kernel=1)
    displayed = SimpleNamespace(Image=lambda data: data[:4], display=shown.append)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell, display=displayed))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "IPython.display", displayed)  # type: ignore[arg-type]
    panoptic().show()
    assert shown[-1] == b"\x89PNG"


@pytest.mark.parametrize(("line", "windows"), [("  GUI:      NONE", False), ("  GUI:    GTK3", True), ("", False)])
def test_an_opencv_without_windows_is_known(line: str, windows: bool) -> None:
    assert has_windows(f"General\n{line}\n    GTK: no") is windows


@ALL
def test_results_travel_between_processes_with_their_picture(make) -> None:
    again = pickle.loads(pickle.dumps(make()))
    assert repr(again) == repr(make())
    np.testing.assert_array_equal(again.image, PICTURE)
    np.testing.assert_array_equal(again.plot(), make().plot())


def test_a_narrow_map_knows_names_and_counts() -> None:
    full = panoptic()
    segments = [dataclasses.replace(segment, name="") for segment in full]
    narrow = PanopticResult.decided(full.segment_ids.astype(np.uint8), segments, LABELS)
    assert [segment.name for segment in narrow] == ["sky", "car", "car", "<person>"]
    assert narrow.image is None
    assert [item.id for item in narrow.filter("car")] == [3, 4]


@pytest.fixture(name="supervision")
def simulated_supervision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put something in supervision's place that keeps what it is given, as `Detections` does."""

    class Detections(SimpleNamespace):
        @classmethod
        def empty(cls):
            return cls(xyxy=np.empty((0, 4)))

    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(Detections=Detections))  # type: ignore[arg-type]


@pytest.mark.usefixtures("supervision")
def test_supervision_gets_boxes_masks_classes_and_names() -> None:
    check_detections(panoptic().to_supervision(), ["sky", "car", "car", "<person>"], [0.9, 0.6, 0.7, 0.8])
    check_detections(instances().to_supervision(), ["<person>", "car", "car"], [0.8, 0.7, 0.6])
    check_detections(semantic().to_supervision(), ["sky", "car", "<person>"], None)
    assert len(instances().filter(score_threshold=1.0).to_supervision().xyxy) == 0


def check_detections(found, names: list[str], scores: list[float] | None) -> None:
    assert found.data["class_name"].tolist() == names
    assert [LABELS[index].name for index in found.class_id] == names
    assert found.mask.dtype == bool
    assert found.mask.shape == (len(names), 40, 60)
    for box, mask in zip(found.xyxy, found.mask, strict=True):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert box.tolist() == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    assert (found.confidence is None) if scores is None else np.allclose(found.confidence, scores)


def test_the_real_supervision_takes_them() -> None:
    real = pytest.importorskip("supervision")
    for result in (panoptic(), instances()):
        found = result.to_supervision()
        assert isinstance(found, real.Detections)
        assert len(found[found.confidence > 0.65]) == len([row for row in result.to_rows() if row["score"] > 0.65])
    check_detections(semantic().to_supervision(), ["sky", "car", "<person>"], None)


def test_without_supervision_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)  # type: ignore[arg-type]
    with pytest.raises(SegrtError, match="to_supervision needs supervision; `pip install supervision`"):
        panoptic().to_supervision()
