"""`segrt run --prompt coco.json`: whose objects they are, of which class, and which of them are refused or left out."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_calls import Segrt, fails

pytest.importorskip("onnx")

from segrt.runtime.results import rle

HEIGHT, WIDTH = 60, 90  # of the photo


def test_a_file_that_is_no_detectors_results_is_named(
    segrt: Segrt, pointing: Path, photo: Path, tmp_path: Path
) -> None:
    def refused(content: object, *parts: str) -> None:
        path = tmp_path / "results.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        fails(segrt("run", pointing, photo, "--prompt", path, "--out", tmp_path / "out"), 2, str(path), *parts)

    entry = {"image_id": 7, "category_id": 3, "score": 1}
    refused("[", "is no JSON")
    refused({"images": [], "annotations": []}, "is no list of COCO's results")
    refused([{**entry, "image_id": 8, "bbox": [1, 2, 3, 4]}], f"knows none of these pictures ({photo.stem}), but 8;")
    many = [{**entry, "image_id": str(index) * 4001, "bbox": [1, 2, 3, 4]} for index in range(1, 5)]
    refused(many, f"but {'1' * 39}…, {'2' * 39}…, {'3' * 39}…;")
    refused([entry], "has neither bbox nor segmentation")
    refused([{**entry, "bbox": [200, 2, 3, 4]}], "200,2,203,6 lies outside the picture, which is 90 wide and 60 high")
    refused(
        [{**entry, "segmentation": {"size": [9, 9], "counts": "11"}}], "its mask is [9, 9], but the image is [60, 90]"
    )
    refused([{**entry, "segmentation": {"size": [60, 90], "counts": "11"}}], "its mask is damaged")
    refused([{**entry, "bbox": [1, 2, -3, 4]}], "its bbox is -3 wide and 4 high, which is no box")
    refused([{**entry, "bbox": [1, 2, 0, 4]}], "its bbox is 0 wide and 4 high, which is no box")
    refused([{**entry, "bbox": [1e300, 2, 3, 4]}], "is no list of COCO's results")
    refused([{**entry, "category_id": -1, "bbox": [1, 2, 3, 4]}], "result 0 has category_id -1, but categories are 0")
    refused([{**entry, "category_id": 1 << 31, "bbox": [1, 2, 3, 4]}], "has category_id 2147483648")
    refused([{**entry, "bbox": [1, 2, 3, 4]}] * 10_001, f"has 10001 objects of {photo}, but at most 10000")
    missing = segrt("run", pointing, photo, "--prompt", tmp_path / "no.json", "--out", tmp_path / "out")
    fails(missing, 2, "no.json: cannot be read (No such file or directory)")


def boxes(path: Path, *entries: tuple[int | str, int, list[float]]) -> Path:
    """Write a detector's results, a picture's id, a category and a box for each object; return the file."""
    rows = [{"image_id": key, "category_id": category, "score": 1, "bbox": box} for key, category, box in entries]
    path.write_text(json.dumps(rows))
    return path


@pytest.mark.prints_table("run")
def test_classes_and_edits_are_those_of_the_file(segrt: Segrt, pointing: Path, photos: Path, tmp_path: Path) -> None:
    left, right = [6, 9, 24, 39], [60, 9, 24, 39]
    file = boxes(tmp_path / "found.json", (7, 18, left), (7, 3, right), (11, 3, [6, 6, 30, 30]))
    photo = photos / "000000000007.png"
    before = cv2.imread(str(photo))

    def changed(*options: str) -> tuple[float, float, float]:
        """Return the shares of pixels changed in the left box, the right one, and between them."""
        out = tmp_path / "out"
        assert segrt("run", pointing, photos, "--prompt", file, *options, "--out", out)[::2] == (0, "")
        after = cv2.imread(str(out / "overlay" / f"{photo.stem}.png"))
        differs = (after != before).any(2)
        return differs[12:45, 9:27].mean(), differs[12:45, 63:81].mean(), differs[:, 36:54].mean()

    before[...] = np.random.default_rng(3).integers(0, 256, before.shape)
    cv2.imwrite(str(photo), before)
    assert min(changed("--blur", "object")[:2]) > 0.9
    blurred = changed("--blur", "category 18")
    assert blurred[0] > 0.9
    assert blurred[1:] == (0, 0)
    whitened = changed("--background", "white")
    assert whitened[:2] == (0, 0)
    assert whitened[2] > 0.9
    whitened = changed("--background", "white", "--classes", "category 3")
    assert whitened[1] == 0
    assert min(whitened[0], whitened[2]) > 0.9
    saved = ("--save", "coco", "--out", tmp_path / "kept")
    for classes, kept in (("category 3", [(7, 3), (11, 3)]), ("object", [(7, 18), (7, 3), (11, 3)])):
        assert segrt("run", pointing, photos, "--prompt", file, "--classes", classes, *saved)[0] == 0
        found = json.loads((tmp_path / "kept" / "coco.json").read_text())
        assert [(entry["image_id"], entry["category_id"]) for entry in found] == kept
    unknown = segrt("run", pointing, photos, "--prompt", file, "--blur", "category 4", *saved)
    fails(unknown, 2, "--blur category 4: ", "has no such class")
    lost = segrt("run", pointing, photos, "--prompt", file, "--blur", "object", "--classes", "category 3", *saved)
    fails(lost, 2, "--blur object: --classes counts this class as not found")


@pytest.mark.prints_table("run")
def test_a_box_is_blurred_although_the_network_has_no_mask_for_it(
    segrt: Segrt, pointing: Path, photo: Path, tmp_path: Path
) -> None:
    before = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    cv2.imwrite(str(photo), before)
    nothing = "box:40,20,46,26+point:43,23,background"
    run = ("run", pointing, photo, "--prompt", nothing, "--save", "overlay,coco", "--blur", "object", "--out", tmp_path)
    assert segrt(*run)[::2] == (0, "")
    entry = json.loads((tmp_path / "coco.json").read_text())[0]["segmentation"]
    assert rle.area({**entry, "counts": entry["counts"].encode()}) == 0
    differs = (cv2.imread(str(tmp_path / "overlay" / f"{photo.stem}.png")) != before).any(2)
    assert differs[20:26, 40:46].mean() > 0.9
    assert differs[:, :30].mean() == 0


@pytest.mark.prints_table("run")
def test_a_point_where_nothing_is_found_is_said_not_to_be_blurred(
    segrt: Segrt, pointing: Path, photo: Path, tmp_path: Path
) -> None:
    around = ((37, 19), (49, 19), (37, 27), (49, 27))
    nothing = "+".join(["point:43,23", *(f"point:{x},{y},background" for x, y in around)])
    run = ("run", pointing, photo, "--prompt", "box:4,4,20,20", "--prompt", nothing, "--blur", "object")
    code, _, said = segrt(*run, "--out", tmp_path / "out")
    assert code == 0
    assert said.count("nothing blurred for") == 1
    assert f"{photo}: nothing blurred for {nothing}: no mask was found and no box given; add a box" in said


def test_a_file_of_prompts_is_not_replaced(segrt: Segrt, pointing: Path, photo: Path, tmp_path: Path) -> None:
    file = boxes(tmp_path / "coco.json", (7, 3, [6, 9, 24, 39]))
    before = file.read_bytes()
    run = segrt("run", pointing, photo, "--prompt", file, "--save", "overlay, coco", "--out", tmp_path)
    fails(run, 2, f"--prompt {file}: --save coco would replace it; give another --out")
    assert file.read_bytes() == before


@pytest.mark.prints_table("run")
def test_pictures_get_the_prompts_of_their_own_name(segrt: Segrt, pointing: Path, photo: Path, tmp_path: Path) -> None:
    def picture(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(photo.read_bytes())
        return path

    def found(file: Path, *pictures: Path) -> list[int]:
        code, said, err = segrt("run", pointing, *pictures, "--prompt", file, "--save", "coco", "--out", tmp_path / "o")
        assert (code, err) == (0, "")
        for path in pictures:
            assert (f"{path}: no prompts for it in {file} → " in said) == (path == grey)
        return [entry["category_id"] for entry in json.loads((tmp_path / "o" / "coco.json").read_text())]

    box = [6, 9, 24, 39]
    eight, seven, grey = picture("in/0008.png"), picture("in/7.png"), picture("in/grey.png")
    numbers = boxes(tmp_path / "numbers.json", (8, 3, box), (7, 4, box))
    assert found(numbers, eight, seven, grey) == [3, 4]
    names = boxes(tmp_path / "names.json", ("0008", 5, box), ("7", 6, box), ("9", 1, box))
    assert found(names, eight) == [5]
    assert found(names, seven, eight) == [6, 5]
    assert found(boxes(tmp_path / "texts.json", ("7", 2, box), ("8", 3, box)), seven) == [2]
    other = segrt("run", pointing, eight, "--prompt", tmp_path / "texts.json", "--out", tmp_path / "no")
    fails(other, 2, "knows none of these pictures (0008), but 7, 8;")

    def refused(file: Path, *pictures: Path, part: str) -> None:
        fails(segrt("run", pointing, *pictures, "--prompt", file, "--out", tmp_path / "no"), 2, str(file), part)

    first, second = picture("a/1.png"), picture("b/1.png")
    twice = boxes(tmp_path / "twice.json", ("1", 3, box), ("1-2", 4, box))
    refused(twice, first, second, part=f"{first} and {second} have one name in it")
    refused(twice, second, part="has 1 and 1-2, pictures of one name that only their order told apart")
    refused(numbers, eight, picture("a/8.png"), part="have one name in it")
    picture("b/1-2.png")
    assert found(twice, second) == [3]


@pytest.mark.prints_table("run")
def test_an_object_without_pixels_is_left_out(segrt: Segrt, pointing: Path, photo: Path, tmp_path: Path) -> None:
    empty = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}
    runs = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * 20 + 10, 30, HEIGHT * WIDTH - HEIGHT * 20 - 40]}
    packed = rle.text(rle.encode(np.zeros((HEIGHT, WIDTH), bool)))
    entry = {"image_id": 7, "category_id": 3, "score": 1}
    file = tmp_path / "found.json"
    file.write_text(json.dumps([{**entry, "segmentation": mask} for mask in (packed, runs, empty)]))
    code, said, err = segrt("run", pointing, photo, "--prompt", file, "--save", "coco", "--out", tmp_path / "out")
    assert (code, err) == (0, f"segrt: {file}: 2 objects of {photo} without pixels left out\n")
    assert f"{photo}: 1 category 3 → " in said


@pytest.mark.prints_table("run")
def test_a_picture_that_a_prompt_does_not_fit_is_skipped_on_demand(
    segrt: Segrt, pointing: Path, photos: Path, tmp_path: Path
) -> None:
    run = ("run", pointing, photos, "--prompt", "point:9,50", "--save", "coco", "--out", tmp_path / "out")
    small = photos / "000000000011.jpg"
    outside = f"--prompt point:9,50 for {small}: the point 9,50 lies outside the picture"
    fails(segrt(*run), 2, outside)
    code, said, err = segrt(*run, "--skip-bad")
    assert code == 0
    assert err.startswith(f"segrt: skipped: {outside}")
    assert "1 picture saved in" in said
    assert "1 skipped" in said
    fails(segrt("run", pointing, small, *run[3:-1], tmp_path / "no"), 2, outside)
