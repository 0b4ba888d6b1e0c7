"""A canvas for pictures on their side and upright, and the side that is padded."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("onnxslim")
pytest.importorskip("transformers")

from tiny_family import RANDOM, RESIZE, SIZE, STRETCH, TINY, build, tiny  # noqa: E402

from segrt.export.convert.exporting import export_model  # noqa: E402
from segrt.export.convert.placement import with_pad_side  # noqa: E402
from segrt.export.family import Exportable, Request  # noqa: E402
from segrt.export.synthetic_pictures import synthetic_picture  # noqa: E402
from segrt.runtime.bundle.locating import read_bundle  # noqa: E402
from segrt.runtime.cli import cli  # noqa: E402
from segrt.runtime.errors import SegrtError  # noqa: E402
from segrt.runtime.preprocess.picture import network_inputs, place  # noqa: E402

CORNER = replace(tiny(), pad_sides=("bottom_right",)).pad_sides


def kept(request: Request) -> Exportable:
    """The tiny family as one that keeps a picture's shape in either canvas."""
    return build(request, resize=request.kept_shape(pad=RESIZE.pad, pad_side="bottom_right"))


def test_a_canvas_for_both_shows_upright_pictures_at_the_scale_of_those_on_their_side(
    tmp_path: Path, add_model: Any
) -> None:
    add_model(TINY, kept)
    done = export_model("tiny", tmp_path / "tiny", replace(RANDOM, both_orientations=True))
    spec = read_bundle(done.bundle).manifest.image_input
    assert spec.size == (96, 96)
    for source in ((300, 450), (450, 300)):
        top, left, bottom, right = place(source, spec.size, spec.resize).window
        assert (top, left) == (0, 0)
        assert sorted((bottom, right)) == [64, 96]
    before = place((450, 300), SIZE, kept(Request(TINY, SIZE, RANDOM.weights)).resize).window
    assert before == (0, 0, 64, 43)  # what a canvas for one orientation makes of the other


def test_the_export_says_which_pictures_come_in_smaller(tmp_path: Path, add_model: Any) -> None:
    said: list[str] = []
    add_model(TINY, kept)
    export_model("tiny", tmp_path / "one", RANDOM, say=said.append)
    assert [line for line in said if "stand upright" in line and "--both-orientations" in line]
    said.clear()
    export_model("tiny", tmp_path / "both", replace(RANDOM, both_orientations=True), say=said.append)
    assert not [line for line in said if "orientations" in line]


@pytest.mark.parametrize(
    ("changes", "resize", "message"),
    [
        ({"both_orientations": True, "size": (64, 64)}, RESIZE, "64x64 takes either orientation already"),
        ({"both_orientations": True}, STRETCH, "fills its input with every picture"),
        ({"pad_side": "bottom_right"}, STRETCH, "stretches pictures and pads nothing"),
        ({"pad_side": "both"}, replace, "at the top left alone"),
    ],
)
def test_what_cannot_be_is_refused(
    changes: dict[str, Any], resize: Any, message: str, tmp_path: Path, add_model: Any
) -> None:
    if resize is replace:
        add_model(TINY, lambda request: replace(kept(request), pad_sides=CORNER))
    else:
        add_model(TINY, lambda request: build(request, resize=resize))
    with pytest.raises(SegrtError, match=message):
        export_model("tiny", tmp_path / "tiny", replace(RANDOM, **changes))
    assert not (tmp_path / "tiny").exists()


def test_the_padded_side_is_the_one_that_was_asked_for(tmp_path: Path, add_model: Any) -> None:
    add_model(TINY, kept)
    arguments = ["export", "tiny", "--out", str(tmp_path / "tiny"), "--weights", "random", "--pad-side", "both"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    spec = read_bundle(tmp_path / "tiny").manifest.image_input
    assert spec.resize.pad_side == "both"
    assert place((200, 200), spec.size, spec.resize).window == (0, 16, 64, 80)


@pytest.mark.parametrize("size", [(200, 200), (100, 400), (128, 192)])
def test_the_framework_s_pixels_move_with_the_picture(size: tuple[int, int]) -> None:
    picture = synthetic_picture(3, size)

    def at_the_top_left(image: Any) -> Any:
        arrays, _ = network_inputs(specs(corner), image)
        return arrays["x"][0].transpose(2, 0, 1).astype(np.float32)

    corner = tiny(resize=kept(Request(TINY, SIZE, RANDOM.weights)).resize, framework_pixels=at_the_top_left)
    middle = with_pad_side(corner, "both", "tiny", SIZE)
    assert middle.framework_pixels is not None
    expected, _ = network_inputs(specs(middle), picture)
    found = middle.framework_pixels(picture)
    np.testing.assert_array_equal(found, expected["x"][0].transpose(2, 0, 1))
    assert with_pad_side(corner, None, "tiny", SIZE) is corner


def specs(exportable: Exportable) -> Any:
    from segrt.runtime.preprocess.input_spec import InputSpec

    return [InputSpec("x", "uint8", (1, *SIZE, 3), resize=exportable.resize)]
