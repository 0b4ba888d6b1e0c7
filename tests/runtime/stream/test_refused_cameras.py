"""A camera that refuses user and password is asked a few times, not for ever; passwords arrive as they were written."""

import base64
import socket
import threading

import pytest

from segrt.runtime.errors import VideoError
from segrt.runtime.stream import run_stream
from segrt.runtime.stream.backoff import Backoff
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sources.live import Feed, LiveOptions, LiveSource, RefusedError, Shot
from segrt.runtime.stream.sources.source_kinds import open_source

pytestmark = pytest.mark.timeout(60)


class RefusingCamera:
    """An RTSP server on a port of its own that answers 401 to everything, and keeps what it was told."""

    def __init__(self):
        self.told = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with connection, connection.makefile("rb") as lines:
            number = b"1"
            for line in lines:
                name, _, value = line.partition(b":")
                if name.lower() == b"cseq":
                    number = value.strip()
                if name.lower() == b"authorization":
                    self.told.append(base64.b64decode(value.split()[-1]).decode())
                if not line.strip():
                    answer = b'RTSP/1.0 401 Unauthorized\r\nCSeq: %s\r\nWWW-Authenticate: Basic realm="cam"\r\n\r\n'
                    connection.sendall(answer % number)

    def close(self):  # noqa: D102
        self._socket.close()


@pytest.fixture
def camera():
    running = RefusingCamera()
    yield running
    running.close()


@pytest.mark.parametrize("password", ["hunter2", "pa/ss", "p#a?s@s", "50%", "a%2Fb"])
def test_a_wrong_password_ends_the_source_after_three_attempts(camera, caplog, password):
    source = open_source(f"rtsp://me:{password}@127.0.0.1:{camera.port}/live", options=LiveOptions(read_timeout=3.0))
    source._backoff = Backoff(0.01, 0.01)
    source.listener = Recorder([source.info.source_id])
    assert list(source.frames()) == []
    assert len(camera.told) == 3
    assert set(camera.told) == {f"me:{'a/b' if password == 'a%2Fb' else password}"}
    assert source.refusal.endswith("3 times; check user, password and address")
    assert "nauthorized" in source.refusal
    assert password not in caplog.text + source.refusal


class OneShot(Feed):
    """Gives one picture."""

    def __init__(self, shot):
        self._shots = iter([shot])

    def read(self):  # noqa: D102
        shot = next(self._shots, None)
        if shot is None:
            raise VideoError("the stream has ended")
        return shot


def refusing(feeds, name="cam"):
    """A source whose camera refuses, but for the feeds among `feeds`; it stops when they are used up."""
    left = list(feeds)

    def connect():
        if not left:
            source.stop()
            raise VideoError("no more")
        feed = left.pop(0)
        if isinstance(feed, Exception):
            raise feed
        return feed

    source = LiveSource(name, connect, backoff=Backoff(0.0, 0.0))
    source.listener = Recorder([name])
    return source, left


def test_a_camera_that_once_let_us_in_is_asked_again_and_again(segmenter):
    import numpy as np

    no = RefusedError("cannot be opened (401)")
    shot = Shot(np.zeros((40, 60, 3), np.uint8), 0.0, 100.0)
    source, left = refusing([no, no, OneShot(shot), no, no, no, no, no])
    assert len(list(source.frames())) == 1
    assert source.refusal is None
    assert not left
    source, left = refusing([no, VideoError("no route"), no, no, VideoError("no route"), no])
    assert list(source.frames()) == []
    assert source.refusal is None, "never three in a row"
    assert not left
    assert segmenter is not None


def test_a_run_whose_only_camera_refuses_ends_with_its_reason(segmenter):
    no = RefusedError("cannot be opened (401)")
    source, _ = refusing([no] * 5)
    with pytest.raises(VideoError, match=r"^cam: cannot be opened \(401\), 3 times; check user, password and address$"):
        run_stream(segmenter, source)


def test_other_cameras_go_on_when_one_refuses(segmenter):
    import numpy as np

    shot = Shot(np.zeros((40, 60, 3), np.uint8), 0.0, 100.0)
    bad, _ = refusing([RefusedError("cannot be opened (401)")] * 5, "bad")
    good, _ = refusing([OneShot(shot), OneShot(shot)], "good")
    metrics = run_stream(segmenter, [bad, good], policy="all")
    assert metrics.frames_out == 2
    assert bad.refusal
    assert good.refusal is None


@pytest.mark.parametrize(
    "address", ["rtsp://cam:port/live", "rtsp://cam:99999/live", "rtsp://:554/live", "rtsp://cam:0/x"]
)
def test_an_address_that_cannot_be_one_is_refused_at_once(address):
    with pytest.raises(VideoError, match=r"names no host; give rtsp://HOST\[:PORT\]/PATH"):
        open_source(address)
