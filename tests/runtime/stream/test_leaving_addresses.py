"""Addresses that video leaves for: what is served, what is pushed to, what is refused, and that no secret is said."""

import pytest
from click.testing import CliRunner

from segrt.runtime.cli.stream import stream as command
from segrt.runtime.errors import VideoError
from segrt.runtime.outputs import gstreamer_bindings
from segrt.runtime.stream.sinks.leaving import leaving_sink, network_sinks
from segrt.runtime.stream.sinks.leaving.leaving_address import read_pushed, read_served, read_srt, serves, srt_uri
from segrt.runtime.stream.sinks.sink_kinds import files_of, open_sink


@pytest.mark.parametrize(
    ("uri", "served"),
    [
        ("rtsp://127.0.0.1:8554/cam?listen=1", True),
        ("rtsp://127.0.0.1:8554/cam?listen", True),
        ("rtsp://0.0.0.0:8554/cam", True),
        ("rtsp://[::]:8554/cam", True),
        ("rtsp://me:p%2Fw@0.0.0.0:8554/cam", True),
        ("rtsp://192.0.2.10:8554/cam", False),
        ("rtsp://me:listen=1@192.0.2.10/cam", False),
        ("rtsp://localhost/cam?key=listen", False),
    ],
)
def test_what_is_served_and_what_is_pushed_to(uri, served):
    assert serves(uri) == served
    target = read_served(uri) if served else read_pushed(uri)
    assert target.path == "/cam"
    assert target.named("gate").path == "/cam-gate"
    assert target.named("gate").uri.partition("?")[0].endswith("/cam-gate")


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("rtsp://127.0.0.1:8554?listen=1", "names no place"),
        ("rtsp://127.0.0.1/cam?listen=1", "write rtsp://HOST:PORT/NAME"),
        ("rtsp://127.0.0.1:8554/cam?listen=maybe", "listen must be 1 or 0"),
        ("rtsp://127.0.0.1:8554/cam?listen=0", "listen=0 serves nothing"),
        ("rtsp://127.0.0.1:8554/cam?listen=1&quality=9", "there is no option 'quality'"),
        ("rtsp://me@127.0.0.1:8554/cam?listen=1", "both user and password"),
        ("rtsp://192.0.2.10:99999/cam", "names no place"),
        ("rtsps://192.0.2.10/cam?listen=1", "only RTSP is served here"),
        ("rtmp://192.0.2.10", "write rtmp://192.0.2.10/APP/KEY"),
        ("rtmp://0.0.0.0/app/key", "only RTSP is served here"),
        ("srt://192.0.2.10", "write srt://192.0.2.10:9000"),
        ("srt://192.0.2.10:9000/path", "write srt://192.0.2.10:9000"),
        ("srt://192.0.2.10:9000?mode=listener", "only RTSP is served here"),
        ("srt://192.0.2.10:9000?latency=long", "latency must be a whole number"),
        ("srt://192.0.2.10:9000?passphrase=hunter2", "the passphrase must have 10 to 79 signs"),
        ("srt://192.0.2.10:9000?pbkeylen=hunter2hunter2", "pbkeylen must be 16, 24 or 32"),
        ("srt://192.0.2.10:9000?passwort=hunter2hunter2", "there is no option 'passwort'"),
    ],
)
def test_what_can_never_succeed_is_refused_in_one_line(uri, reason):
    with pytest.raises(VideoError) as refusal:
        open_sink(uri)
    assert reason in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_command_says_it_and_ends_with_2(tmp_path):
    result = CliRunner().invoke(
        command,
        [
            "street-semantic",
            "street://?seed=1",
            "--sink",
            "rtmp://me:hunter2@192.0.2.10",
            "--sink",
            f"{tmp_path}/a.jsonl",
        ],
    )
    assert isinstance(result.exception, VideoError), "which the program makes one line and exit code 2"
    assert "hunter2" not in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_srts_options_are_handed_on_and_not_shown():
    target = read_pushed("srt://192.0.2.10:9000?latency=80&passphrase=hunter2hunter2&streamid=gate/1")
    assert srt_uri(target, read_srt(target)) == (
        "srt://192.0.2.10:9000?mode=caller&latency=80&passphrase=hunter2hunter2&streamid=gate%2F1"
    )
    assert "hunter2" not in f"{target.shown} {target!r}".replace(target.uri, "")
    assert "gate" not in target.shown


def test_srt_has_room_for_one_source():
    with pytest.raises(VideoError, match=r"takes one source, but there are 2; push over RTSP"):
        files_of("srt://192.0.2.10:9000?passphrase=hunter2hunter2", ["a", "b"])


def test_without_gstreamers_server_one_line_says_what_to_install(monkeypatch):
    def missing():
        raise ImportError("gi")

    monkeypatch.setattr(gstreamer_bindings, "import_gi", missing)
    with pytest.raises(VideoError, match=r"sudo apt-get install .*gir1\.2-gst-rtsp-server-1\.0"):
        open_sink("rtsp://me:hunter2@127.0.0.1:8554/cam?listen=1")
    monkeypatch.setattr(network_sinks, "has_srt", lambda: False)
    with pytest.raises(VideoError, match=r"sudo apt-get install .*gstreamer1\.0-plugins-bad"):
        open_sink("srt://192.0.2.10:9000")
    assert open_sink("rtsp://192.0.2.10/cam").name == "rtsp", "pushing needs none of it"


def test_without_an_encoder_one_line_says_so(monkeypatch):
    monkeypatch.setattr(leaving_sink, "h264_here", list)
    for uri in ("rtmp://192.0.2.10/app/key", "rtsp://127.0.0.1:8554/cam?listen=1"):
        with pytest.raises(VideoError, match=r"nothing here encodes H\.264"):
            open_sink(uri)
