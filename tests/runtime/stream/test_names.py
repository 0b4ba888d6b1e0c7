"""Names of sources and sinks: no credentials, no double registration, no heavy imports."""

import subprocess
import sys

import pytest

from segrt.runtime.errors import SegrtError, VideoError
from segrt.runtime.files.uri import redact, scheme_of
from segrt.runtime.outputs.output_files import safe_name
from segrt.runtime.registry import Registry
from segrt.runtime.stream.sinks.sink_kinds import open_sink
from segrt.runtime.stream.sources.source_kinds import open_source, open_sources

SECRETS = ("hunter2", "s3cret")


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("rtsp://host/stream", "rtsp://host/stream"),
        ("rtsp://admin:hunter2@host:554/stream", "rtsp://***@host:554/stream"),
        ("rtsp://hunter2@host/stream", "rtsp://***@host/stream"),
        ("rtsp://admin:hunt@hunter2@host/x", "rtsp://***@host/x"),
        ("rtsp://admin:pa/hunter2@host/x", "rtsp://***@host/x"),
        ("rtsp://admin:my hunter2\n@host/x", "rtsp://***@host/x"),
        ("http://host/x?user=a&password=hunter2&fps=1", "http://host/x?user=***&password=***&fps=1"),
        ("http://host/x?access_token=hunter2#t", "http://host/x?access_token=***#***"),
        ("HTTP://host/x?API-Key=hunter2", "HTTP://host/x?API-Key=***"),
        ("/videos/a@b.mp4", "/videos/a@b.mp4"),
    ],
)
def test_credentials_are_not_shown(uri, shown):
    assert redact(uri) == shown
    assert not any(secret in redact(uri) for secret in SECRETS)


@pytest.mark.parametrize(
    ("text", "scheme"), [("rtsp://h/x", "rtsp"), ("V4L2:///dev/video0", "v4l2"), ("a/b.mp4", None), ("c:/x.mp4", None)]
)
def test_scheme(text, scheme):
    assert scheme_of(text) == scheme


@pytest.mark.parametrize("open_it", [open_source, open_sources, open_sink])
def test_errors_about_uris_hide_credentials(open_it):
    with pytest.raises(VideoError, match="not known") as failure:
        open_it("nosuch://admin:hunter2@host/x?token=s3cret")
    assert "host/x" in str(failure.value)
    assert not any(secret in str(failure.value) for secret in SECRETS)


def test_registering_a_name_twice_raises():
    registry = Registry("sink", {".mp4": "os:getcwd"})
    registry.add(".new", "os:getpid")
    assert callable(registry.load(".new"))
    with pytest.raises(ValueError, match=r"'\.mp4' is already registered"):
        registry.add(".mp4", "os:getpid")


def test_several_sources_get_ids_of_their_own(fakes):
    with pytest.raises(VideoError, match="ids of their own"):
        open_sources([fakes.ListSource(), fakes.ListSource()])
    with pytest.raises(VideoError, match="no source"):
        open_sources([])


def test_the_same_file_twice_is_two_sources(tmp_path, fakes):
    path = fakes.write_video(tmp_path / "a.mp4", fakes.shades(2))
    sources = open_sources([path, path])
    assert [source.info.source_id for source in sources] == [str(path), f"{path}#2"]
    for source in sources:
        source.close()


def test_safe_names_are_file_names():
    assert safe_name("cams/gate 1.mp4#2") == "gate_1.mp4_2"
    assert safe_name("rtsp://***@host/") == "host"
    assert safe_name("../..") == "source"


@pytest.mark.parametrize("spec", ["out.avi", "out.xml", "nosuch://host", "out.png", ""])
def test_unknown_sinks_are_refused_with_the_remedy(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SegrtError, match=r"use|%06d"):
        open_sink(spec)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.mp4", "out.jsonl", "folder", "x-%06d.png"])
def test_a_sink_in_a_place_that_cannot_be_written_is_refused(name, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SegrtError, match="choose"):
        open_sink(tmp_path / "file" / name)


def test_a_folder_named_like_a_file_is_a_folder(tmp_path):
    (tmp_path / "out.mp4").mkdir()
    assert open_sink(tmp_path / "out.mp4").name == "pictures"


def test_importing_the_room_loads_neither_pyav_nor_opencv():
    code = "import sys, segrt.runtime.stream, segrt.runtime.cli.stream; print({'av', 'cv2', 'rich'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
