"""The demo, short: its files are what they say, its table names the three techniques."""

from pathlib import Path

import av
import cv2
import pytest
from click.testing import CliRunner

from segrt.runtime.cli.demo import demo


@pytest.mark.slow
@pytest.mark.prints_table("demo")
def test_demo_writes_a_comparison_and_two_clips_and_prints_a_table(tmp_path: Path) -> None:
    done = CliRunner().invoke(demo, ["--out", str(tmp_path / "demo"), "--frames", "6", "--threads", "1"])
    assert done.exit_code == 0, done.output
    sheet = cv2.imread(str(tmp_path / "demo/comparison.png"))
    assert sheet is not None
    assert sheet.shape[1] >= 1200
    for name in ("street.mp4", "stream.mp4"):
        with av.open(str(tmp_path / "demo" / name)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert (stream.height, stream.width) == (720, 1280)
            assert len(list(container.decode(stream))) == 6
    for word in ("semantic", "instance", "panoptic", "mIoU", "mask AP", "PQ", "preprocess", "postprocess", "total"):
        assert word in done.output


def test_an_unwritable_folder_is_refused_before_anything_is_rendered(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(demo, ["--out", str(tmp_path / "file" / "demo")])
    assert done.exit_code != 0
    assert "cannot be made a folder" in str(done.exception)
    assert done.output == ""
