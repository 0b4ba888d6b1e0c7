"""--style, --background and --blur: in every picture that leaves, and refused in one line where they make no sense."""

import re
from pathlib import Path
from types import SimpleNamespace

import cv2
import msgspec
import numpy as np
import pytest
from cli_calls import Segrt

from segrt.runtime.cli.drawing_options import DrawingOptions, edits_of
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import read_image

PICTURE = "000000000007.png"  # red, green and blue thirds; green and blue are things


@pytest.fixture
def given(photos: Path) -> np.ndarray:
    return read_image(photos / PICTURE)


def test_the_background_is_replaced_and_the_things_keep_their_bits(
    tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path, given: np.ndarray
) -> None:
    bundle, out = tiny.bundle("merge_queries"), tmp_path / "out"
    command = ("run", bundle, photos / PICTURE, "--out", out, "--background")
    assert segrt(*command, "#010203")[0] == 0
    found = read_image(out / "overlay" / PICTURE)
    assert (found[:, :28] == (3, 2, 1)).all()
    np.testing.assert_array_equal(found[:, 32:], given[:, 32:])
    assert segrt(*command, "white", "--classes", "red")[0] == 0
    found = read_image(out / "overlay" / PICTURE)
    np.testing.assert_array_equal(found[:, :28], given[:, :28])
    assert (found[:, 32:] == 255).all()
    assert segrt(*command, "grey", "--style", "segrt")[0] == 0
    drawn = read_image(out / "overlay" / PICTURE)
    assert (drawn[:, 32:] != given[:, 32:]).any(), "drawn over, as asked"


def test_blurred_classes_are_blurred_in_everything_that_is_saved(
    tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path
) -> None:
    given = np.random.default_rng(1).integers(0, 40, (60, 90, 3), np.uint8) + read_image(photos / PICTURE) // 2
    cv2.imwrite(str(photos / PICTURE), given)
    bundle, out = tiny.bundle("merge_queries"), tmp_path / "out"
    code, _, err = segrt("run", bundle, photos / PICTURE, "--out", out, "--save", "overlay,cutouts", "--blur", "green")
    assert (code, err) == (0, "")
    found = read_image(out / "overlay" / PICTURE)
    np.testing.assert_array_equal(found[:, :24], given[:, :24])
    np.testing.assert_array_equal(found[:, 66:], given[:, 66:])
    assert found[:, 34:56].std(axis=(0, 1)).max() < given[:, 34:56].std(axis=(0, 1)).min() / 2
    cuts = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted((out / "cutouts").rglob("*green*.png"))]
    assert [cut.shape for cut in cuts] == [(60, 30, 4)]
    np.testing.assert_array_equal(cuts[0][..., :3], found[:, 30:60])


def test_run_and_compare_draw_in_a_style(
    tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path, given: np.ndarray
) -> None:
    bundle, drawn = tiny.bundle("merge_queries"), {}
    for style in ("segrt", "detectron2", "none"):
        assert segrt("run", bundle, photos / PICTURE, "--out", tmp_path / style, "--style", style)[0] == 0
        drawn[style] = read_image(tmp_path / style / "overlay" / PICTURE)
    np.testing.assert_array_equal(drawn["none"], given)
    assert (drawn["segrt"] != drawn["detectron2"]).any()
    sheets = []
    for style in ((), ("--style", "segrt"), ("--style", "detectron2")):
        out = tmp_path / "sheet.png"
        assert segrt("compare", photos / PICTURE, bundle, "--out", out, "--repeat", 1, *style)[0] == 0
        sheets.append(read_image(out)[:, 900:])
    assert sheets[0].shape == sheets[2].shape
    assert (sheets[0] != sheets[2]).mean() > 0.01


def test_a_stream_sends_edited_pictures_alone(
    tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path, given: np.ndarray
) -> None:
    bundle, out = tiny.bundle("merge_queries"), tmp_path / "frames"
    code, text, err = segrt("stream", bundle, photos / PICTURE, "--sink", f"{out}/", "--background", "#010203")
    assert (code, err) == (0, ""), text
    (written,) = out.glob("*.png") if list(out.glob("*.png")) else out.glob("*.jpg")
    found = read_image(written).astype(int)
    assert np.abs(found[:, :24] - (3, 2, 1)).max() <= 3
    assert np.abs(found[:, 40:50] - given[:, 40:50]).mean() <= 3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--background", "nowhere.png"), "--background nowhere.png: must be blur, grey, a colour"),
        (("--blur", "grean"), "--blur grean: .* has no such class; did you mean 'green'"),
        (("--blur", ","), "--blur: is empty; name classes of"),
        (("--blur", "green", "--classes", "blue"), "--blur green: --classes counts this class as not found; name it"),
        (("--style", "fancy"), "--style"),
    ],
)
@pytest.mark.parametrize("command", ["run", "stream"])
def test_what_makes_no_sense_is_refused(
    tiny: SimpleNamespace, segrt: Segrt, photos: Path, tmp_path: Path, command: str, options: tuple[str, ...], told: str
) -> None:
    where = ("--out", tmp_path / "o") if command == "run" else ("--sink", tmp_path / "o.jsonl")
    code, _, err = segrt(command, tiny.bundle("merge_queries"), photos / PICTURE, *where, *options)
    assert code == 2
    assert re.search(told, err), err
    assert not list(tmp_path.glob("o*"))


def test_classes_of_stuff_alone_have_no_subject(
    tiny: SimpleNamespace,
) -> None:
    labels = tuple(msgspec.structs.replace(label, isthing=False) for label in tiny.labels)
    with pytest.raises(SegrtError, match=r"--background blur: the classes of b are stuff alone.*--classes"):
        edits_of(DrawingOptions(background="blur"), labels, None, "b")
    assert edits_of(DrawingOptions(background="blur"), labels, frozenset({0}), "b") is not None
    assert edits_of(DrawingOptions(style="detectron2"), labels, None, "b") is None
