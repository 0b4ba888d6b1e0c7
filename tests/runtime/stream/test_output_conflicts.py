"""Outputs that a sink names itself are refused like those that the user named, before anything is written."""

from pathlib import Path

import pytest

from segrt.runtime.errors import VideoError
from segrt.runtime.stream.output_conflicts import refuse_conflicts
from segrt.runtime.stream.sources.source import SourceInfo


def refuse(sources, sinks, metrics=None, **options):
    refuse_conflicts(sources, [SourceInfo(source) for source in sources], sinks, metrics, **options)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("out-cam.mp4", "out-00001.mp4", "in.mp4"):
        Path(name).write_bytes(b"a video")


@pytest.mark.parametrize(
    ("sources", "sinks", "message"),
    [
        (["out-cam.mp4", "rtsp://h/cam"], ["out.mp4"], "out.mp4: would overwrite the source out-cam.mp4"),
        (["rtsp://h/a", "rtsp://h/b"], ["x.mp4", "./x.mp4"], "x.mp4: is given twice"),
        (["rtsp://h/a", "rtsp://h/a-b"], ["x.mp4", "x-a.mp4"], None),
        (["rtsp://h/b", "rtsp://h/a-b"], ["x.mp4", "x-a.mp4"], "x-a.mp4: writes x-a-b.mp4, as another output does"),
        (["in.mp4"], ["p", "p/%06d.jpg"], "p/%06d.jpg: writes pictures of the same names into"),
        (["in.mp4"], ["p", "p/%06d.png"], None),
        (["in.mp4"], ["p.json", "p/%d.png"], "p/%d.png: writes pictures of the same names into"),
        (["in.mp4"], ["p.json", "p.unfinished.jsonl"], "p.unfinished.jsonl: writes p.unfinished.jsonl, as another"),
    ],
)
def test_files_that_sinks_name_themselves_collide_with_nothing(sources, sinks, message):
    if message is None:
        refuse(sources, sinks)
        return
    with pytest.raises(VideoError, match=r"^sink .*; (write to another|leave one)") as refused:
        refuse(sources, sinks)
    assert message in str(refused.value)


def test_keep_deletes_neither_sources_nor_other_outputs():
    refuse(["out-00001.mp4"], ["out.mp4"])
    with pytest.raises(VideoError, match=r"sink out\.mp4: --keep would delete out-00001\.mp4, which is a source"):
        refuse(["out-00001.mp4"], ["out.mp4"], prunes=True)
    with pytest.raises(VideoError, match=r"sink out\.json: --keep would delete out-00007\.json"):
        refuse(["in.mp4"], ["out.json"], Path("out-00007.json"), prunes=True)
