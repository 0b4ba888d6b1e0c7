"""The street world as files, and the command that writes them."""

import json
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from segrt.runtime.results.coco_format import read_panoptic_png
from segrt.runtime.streetworld import StreetWorld
from segrt.runtime.streetworld.__main__ import main
from segrt.runtime.streetworld.moments import drawn_time


def test_data_set_holds_pictures_truth_and_annotations(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, [str(tmp_path / "set"), "--frames", "3", "--seed", "5", "--size", "96x160"])
    assert done.exit_code == 0, done.output
    content = json.loads((tmp_path / "set/panoptic.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["000000.png", "000001.png", "000002.png"]
    assert len(content["categories"]) == 11
    for index, annotation in enumerate(content["annotations"]):
        view = StreetWorld(5 + index).render(drawn_time(5 + index), (96, 160))
        stored = cv2.imread(str(tmp_path / "set/images" / annotation["file_name"]))
        np.testing.assert_array_equal(stored, view.image)
        ids = read_panoptic_png(tmp_path / "set/panoptic" / annotation["file_name"])
        np.testing.assert_array_equal(ids, view.segment_ids)
        for segment in annotation["segments_info"]:
            mask = ids == segment["id"]
            assert segment["area"] == mask.sum()
            assert segment["bbox"] == list(cv2.boundingRect(mask.astype(np.uint8)))
            assert segment["iscrowd"] == int(segment["area"] < 16 and segment["category_id"] > 5)


def test_clip_is_an_h264_mp4_of_as_many_frames(tmp_path: Path) -> None:
    path = tmp_path / "street.mp4"
    done = CliRunner().invoke(main, [str(path), "--frames", "12", "--size", "96x160", "--fps", "30"])
    assert done.exit_code == 0, done.output
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 30
        assert (stream.height, stream.width) == (96, 160)
        assert len(list(container.decode(stream))) == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "96"], "not HEIGHTxWIDTH"),
        (["--size", "99999x99999"], "'99999x99999' is not HEIGHTxWIDTH of 10 to 8192 pixels"),
        (["--size", "0x320"], "not HEIGHTxWIDTH"),
        (["--frames", "0"], "not in the range"),
    ],
)
def test_wrong_arguments_exit_with_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(main, [str(tmp_path / "out"), *arguments])
    assert done.exit_code == 2
    assert message in done.output


def test_one_frame_is_no_frames(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, [str(tmp_path / "set"), "--frames", "1", "--size", "32x48"])
    assert done.output == f"{tmp_path / 'set'}: 1 frame, 48 pixels wide and 32 high\n"


def test_an_unwritable_folder_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from segrt.runtime.console.exits import run_command

    (tmp_path / "file").write_text("")
    monkeypatch.setattr(sys, "argv", ["streetworld", str(tmp_path / "file" / "set"), "--frames", "1"])
    with pytest.raises(SystemExit) as stop:
        run_command(main)
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
