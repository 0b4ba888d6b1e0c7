"""A stream whose cameras and broker are away says so on every channel, and nowhere their passwords."""

import contextlib
import http.client
import signal
import socket
import subprocess
import sys
import time

import pytest

from segrt.runtime.errors import VideoError
from segrt.runtime.stream.sinks.sink_kinds import open_sink
from segrt.runtime.stream.sources.source_kinds import open_source
from segrt.runtime.stream.sources.v4l2 import V4l2Source

pytestmark = pytest.mark.timeout(90)
SECRET = "hunter2"
ADDRESSES = (
    f"rtsp://admin:{SECRET}@127.0.0.1:PORT/a?user=me&p={SECRET}-1",
    f"rtsp://127.0.0.1:PORT/user=admin_password={SECRET}_channel=1.sdp?loginpas={SECRET}",
    f"http://127.0.0.1:PORT/b?jwt={SECRET}&width=640#session={SECRET}",
    f"gst:rtspsrc location=rtsp://u:{SECRET}@127.0.0.1:PORT/c user-id=u user-pw={SECRET} ! decodebin ! appsink",
    f"gst:souphttpsrc location=http://127.0.0.1:PORT/d?pw={SECRET} cookies={SECRET} ! decodebin ! appsink",
    f"gst:fakesrc passphrase={SECRET} ! appsink",
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    body = connection.getresponse().read().decode()
    connection.close()
    return body


def has_gstreamer():
    with contextlib.suppress(VideoError):
        open_source("gst:fakesrc").close()
        return True
    return False


def test_no_channel_of_a_stream_shows_a_secret(tmp_path):
    pytest.importorskip("uvicorn", reason="needs the extra segrt[web]")
    pytest.importorskip("paho.mqtt", reason="needs the extra segrt[mqtt]")
    nobody, page = free_port(), free_port()
    addresses = [address.replace("PORT", str(nobody)) for address in ADDRESSES]
    sources = [address for address in addresses if has_gstreamer() or not address.startswith("gst:")]
    broker = f"mqtt://me:{SECRET}@127.0.0.1:{nobody}/yard"
    command = ["stream", "street-semantic", *sources, "--read-timeout", "1s", "--metrics", str(tmp_path / "m.json")]
    for sink in (f"http://127.0.0.1:{page}/?token={SECRET}-hunter", broker, str(tmp_path / "a.jsonl")):
        command += ["--sink", sink]
    process = subprocess.Popen(
        [sys.executable, "-c", "from segrt.runtime.cli import main; main()", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = []
    try:
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline and len(said) < 3:
            with contextlib.suppress(OSError):
                said = [ask(page, f"{path}?token={SECRET}-hunter") for path in ("/healthz", "/metrics", "/state.json")]
            time.sleep(2.0)
        process.send_signal(signal.SIGTERM)
        printed = process.communicate(timeout=30)[0]
    finally:
        process.kill()
    assert process.returncode == 143, printed
    for text in (*said, printed, (tmp_path / "m.json").read_text()):
        assert SECRET not in text
        assert "/b?jwt=***&width=640#" in text or text == printed
    assert "refused" in printed.lower()
    assert f"broker 127.0.0.1:{nobody} cannot be reached" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"]


@pytest.mark.parametrize(
    "address",
    [
        f"street://admin:{SECRET}@host/?seed=1",
        f"street://?seed=1&pass={SECRET}&token={SECRET}",
        f"csi://admin:{SECRET}@0",
        f"admin:{SECRET}@camera/stream",
        f"rtsp:/admin:{SECRET}@camera/stream",
        f"nosuch://h/?{SECRET}",
    ],
)
def test_what_is_refused_as_a_source_is_named_without_its_secret(address):
    with pytest.raises(VideoError) as refusal:
        open_source(address)
    assert SECRET not in str(refusal.value)
    assert "***" in str(refusal.value)


def test_a_device_with_a_password_is_named_without_it():
    with pytest.raises(VideoError) as refusal:
        V4l2Source(f"v4l2://admin:{SECRET}@host/dev/video0", "cam")
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    ("address", "remedy"),
    [
        (f"mqtt://me:12/{SECRET}@host/topic", "%2F"),
        (f"mqtt://me:{SECRET}@host/a/#", "must be mqtt"),
        (f"mqtts://me:{SECRET}@host/topic?ca=/nosuch.pem&key={SECRET}", "cannot be read as certificates"),
        (f"http://127.0.0.1/?token={SECRET}", "must be http"),
        (f"me:{SECRET}@host/topic.x", "are not known"),
    ],
)
def test_what_is_refused_as_a_sink_is_named_without_its_secret(address, remedy):
    pytest.importorskip("paho.mqtt", reason="needs the extra segrt[mqtt]")
    with pytest.raises(VideoError, match=remedy) as refusal:
        open_sink(address)
    assert SECRET not in str(refusal.value)
