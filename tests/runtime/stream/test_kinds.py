"""A source and a sink from outside: one class each, which help, errors, doctor, deployments and streams all ask."""

# ruff: noqa: D102 (what the methods do is in the interfaces)

import json
import re
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from click.testing import CliRunner

from segrt.runtime.cli.stream import stream as command
from segrt.runtime.doctor.facts import gather
from segrt.runtime.doctor.features import features_of
from segrt.runtime.doctor.kinds import added_kinds, all_kinds
from segrt.runtime.doctor.machine import RecordedMachine
from segrt.runtime.errors import VideoError
from segrt.runtime.outputs.result_lines import describe
from segrt.runtime.outputs.written_files import WrittenFiles
from segrt.runtime.stream import run_stream
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.needs import Needs
from segrt.runtime.stream.sinks import sink_kinds
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sources import source_kinds
from segrt.runtime.stream.sources.source import Source, SourceInfo
from segrt.runtime.stream.uri_options import read_query, whole

STATE = Path(__file__).parents[1] / "doctor" / "states" / "ubuntu-rtx.json"


class ShadesSource(Source):
    """`shades://FILE?frames=N`: grey pictures, brighter from one to the next, beginning with what the file says."""

    forms: ClassVar = {"shades": "shades://FILE?frames=3"}
    options: ClassVar = {"frames": whole(1, 100)}
    needs = Needs("shades:// sources", ("shades-of-grey",))

    def __init__(self, uri, source_id, options=None):  # noqa: ARG002
        self._first = int(self.files(uri)[0].read_text())
        self._count = read_query(uri, self.options).get("frames", 3)
        self.info = SourceInfo(source_id, frames=self._count)

    @classmethod
    def files(cls, spec):
        return (Path(spec.removeprefix("shades://").partition("?")[0]),)

    def frames(self):
        for index in range(self._count):
            image = np.full((4, 6, 3), self._first + index, np.uint8)
            yield Frame(image, index, None, time.monotonic(), self.info.source_id)


class TallySink(Sink):
    """Appends one line for each result to a text file; needs a package that nobody has."""

    forms: ClassVar = {"FILE.tally": "a line each"}
    needs = Needs("tallies", ("tally-marks",), "tally")
    name = "tally"

    def __init__(self, path, options=None):  # noqa: ARG002
        self._path = path

    def write(self, frame, result, drawn):  # noqa: ARG002
        with self._path.open("a") as file:
            file.write(f"{frame.index} {json.dumps(describe(result)['areas'])}\n")

    def close(self):
        pass


class PlainSink(TallySink):
    """Says nothing of itself but what it does."""

    forms: ClassVar = {}
    needs = None


@pytest.fixture
def kinds():
    source_kinds.SOURCES.add("shades", ShadesSource)
    sink_kinds.SINKS.add(".tally", TallySink)
    sink_kinds.SINKS.add(".plain", PlainSink)
    yield
    source_kinds.SOURCES.remove("shades")
    for name in (".tally", ".plain"):
        sink_kinds.SINKS.remove(name)


def shown(arguments) -> str:
    """Return what the command says, in one line."""
    return " ".join(CliRunner().invoke(command, arguments).output.split())


def test_the_help_names_what_was_added_and_nothing_that_was_removed(kinds):  # noqa: ARG001
    text = shown(["--help"])
    assert "gst:PIPELINE, street://?seed=1, shades://FILE?frames=3. When a file ends early" in text
    assert "srt://HOST:PORT (pushed there), null (the default), FILE.tally (a line each) or FILE.plain." in text
    source_kinds.SOURCES.remove("shades")
    assert "shades" not in shown(["--help"])
    source_kinds.SOURCES.add("shades", ShadesSource)


def test_segrts_own_kinds_are_named_in_a_fixed_order():
    text = shown(["--help"])
    assert (
        "A SOURCE is a video file, a picture, a folder of pictures, or live: rtsp://..., http://..., "
        "v4l2:///dev/video0, csi://0, gst:PIPELINE, street://?seed=1. When a file ends early"
    ) in text
    assert (
        "Where results go, repeatable: FILE.mp4, FILE.jsonl, FILE.json (COCO panoptic), DIR, DIR/%06d.png, "
        "DIR/NAME.m3u8 (HLS), http://HOST:PORT (a live page), mqtt://HOST/TOPIC, rtsp://HOST:PORT/NAME?listen=1 "
        "(served here), rtsp://HOST/NAME (pushed there), rtsps://HOST/NAME (pushed there), rtmp://HOST/APP/KEY (pushed "
        "there), srt://HOST:PORT (pushed there) or null (the default)."
    ) in text
    with pytest.raises(VideoError) as unknown:
        source_kinds.open_source("ftp://host/x")
    assert str(unknown.value).endswith("use rtsp, http, https, v4l2, csi, gst and street, or a file or folder")
    with pytest.raises(VideoError) as unknown:
        sink_kinds.open_sink("amqp://host/x")
    assert str(unknown.value).endswith(
        "use FILE.mp4, FILE.jsonl, FILE.json, DIR, DIR/%06d.png, DIR/NAME.m3u8, http://HOST:PORT, mqtt://HOST/TOPIC, "
        "rtsp://HOST:PORT/NAME?listen=1, rtsp://HOST/NAME, rtsps://HOST/NAME, rtmp://HOST/APP/KEY, srt://HOST:PORT or "
        "null"
    )


def test_errors_about_unknown_kinds_name_what_was_added(kinds):  # noqa: ARG001
    with pytest.raises(VideoError, match="gst, street and shades, or a file or folder"):
        source_kinds.open_source("ftp://host/x")
    with pytest.raises(VideoError, match=r"srt://HOST:PORT, null, FILE\.tally or FILE\.plain"):
        sink_kinds.open_sink("out.avi")


@pytest.mark.parametrize("name", ["folder", "null"])
def test_names_in_the_table_that_are_no_schemes_are_none(name):
    with pytest.raises(VideoError, match=f"scheme '{name}' is not known"):
        sink_kinds.open_sink(f"{name}://x")
    with pytest.raises(VideoError, match="scheme 'images' are not known"):
        source_kinds.open_source("images://x")


def test_a_stream_runs_through_both(kinds, segmenter, tmp_path):  # noqa: ARG001
    (tmp_path / "first").write_text("7")
    run_stream(segmenter, f"shades://{tmp_path}/first?frames=4", [str(tmp_path / "out.tally")])
    lines = (tmp_path / "out.tally").read_text().splitlines()
    assert lines == [f'{index} {{"class {7 + index}": 24}}' for index in range(4)]


def test_options_of_its_uri_are_read_strictly(kinds, tmp_path):  # noqa: ARG001
    (tmp_path / "first").write_text("7")
    with pytest.raises(VideoError, match="there is no option 'speed'; use frames"):
        source_kinds.open_source(f"shades://{tmp_path}/first?speed=2")


def test_what_it_reads_is_not_overwritten(kinds, segmenter, tmp_path):  # noqa: ARG001
    source = tmp_path / "first.tally"
    source.write_text("7")
    with pytest.raises(VideoError, match="is the source itself"):
        run_stream(segmenter, f"shades://{source}", [str(source)])
    out = str(tmp_path / "out.plain")
    with pytest.raises(VideoError, match="is given twice"):
        run_stream(segmenter, f"shades://{source}", [out, out])
    assert source.read_text() == "7"


def test_files_and_extras_are_what_the_classes_say(kinds, tmp_path):  # noqa: ARG001
    assert sink_kinds.files_of("a/out.tally") == WrittenFiles(Path("a/out.tally"))
    assert sink_kinds.files_of("http://127.0.0.1:1") == sink_kinds.files_of("null") == WrittenFiles()
    assert [pictures.folder for pictures in sink_kinds.files_of("out.json").pictures] == [Path("out")]
    (pictures,) = sink_kinds.files_of(f"{tmp_path}/%06d.png").pictures
    assert pictures.folder == tmp_path
    assert pictures.names.fullmatch("000012.png")
    assert [part.folder.name for part in sink_kinds.files_of("out", ["a", "b"]).pictures] == ["a", "b"]
    specs = ["out.mp4", "out.tally", "HTTP://0.0.0.0:80", "mqtts://host/t", "${SINK}", "amqp://host"]
    assert sink_kinds.extras_of(specs) == {"web", "mqtt", "tally"}
    assert source_kinds.extras_of(["rtsp://host/x", "${CAMERA}", "shades://x", "ftp://x"]) == set()
    assert source_kinds.files_of("file:///a%20b.mp4") == (Path("/a b.mp4"),)
    assert source_kinds.files_of("shades://x?frames=2") == (Path("x"),)
    assert source_kinds.files_of("rtsp://host/x") == ()


def test_the_doctor_says_what_is_missing_and_how_to_bring_it(kinds):  # noqa: ARG001
    recorded = json.loads(STATE.read_text())
    mine = ("source shades", "sink .tally", "sink .plain")
    recorded["registries"] = {"added": added_kinds([name for name in all_kinds() if name not in mine])}
    assert set(recorded["registries"]["added"]) == set(mine)
    versions = "versions starlette uvicorn prometheus-client paho-mqtt shades-of-grey tally-marks"
    recorded["probes"][versions] = {"starlette": "1", "tally-marks": None}
    features = {feature.name: feature for feature in features_of(gather(RecordedMachine(recorded)))}
    assert (features["tallies"].state, features["tallies"].detail) == ("off", "not installed: tally-marks")
    assert [remedy.command.partition(" -m ")[2] for remedy in features["tallies"].remedies] == [
        "pip install 'segrt[tally]'"
    ]
    assert features["shades:// sources"].state == "off"
    assert features["shades:// sources"].remedies[0].command.endswith("pip install shades-of-grey")
    assert features["sink .plain"].state == "works"
    recorded["probes"][versions] = {"tally-marks": "3.1"}
    features = {feature.name: feature for feature in features_of(gather(RecordedMachine(recorded)))}
    assert (features["tallies"].state, features["tallies"].detail) == ("works", "tally-marks 3.1")


def test_the_doctor_asks_segrts_own_kinds():
    from segrt.runtime.doctor import probes

    answer = probes.kinds()
    assert {"source rtsp", "sink http", "sink .mp4", "sink mqtt", "backend onnxruntime"} <= set(answer)
    needs = [described["needs"] for described in answer.values() if "needs" in described]
    assert list(dict.fromkeys((need["feature"], need["extra"]) for need in needs)) == [
        ("live page and metrics (http:// sinks)", "web"),
        ("MQTT sinks", "mqtt"),
    ]


def test_the_sink_of_the_documentation_works(segmenter, fakes, tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "streaming.md").read_text()
    (example,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "SINKS.add" in block)
    exec(example, {"__name__": "example"})
    try:
        run_stream(segmenter, fakes.ListSource(3), [str(tmp_path / "out.count")])
        assert "FILE.count (results so far)" in shown(["--help"])
    finally:
        sink_kinds.SINKS.remove(".count")
    assert (tmp_path / "out.count").read_text() == "3"
