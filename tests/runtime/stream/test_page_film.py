"""The live page's video over WebRTC in a real Chromium: in step with the map, encoded once; without it pictures."""

# ruff: noqa: D102 (names say it)

import json
import threading
import time
import urllib.error
import urllib.request
from fractions import Fraction

import numpy as np
import pytest
from leaving_camera import count_encoding

from segrt.runtime.outputs.encoders.encoded import Encoded
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.results import Label, PanopticResult, Segment
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.sources.source import SourceInfo

pytest.importorskip("uvicorn", reason="needs the extra segrt[web]")
pytestmark = pytest.mark.timeout(240)
SIZE, FPS, SOURCE = (180, 320), 30, "cam"
LABELS = (Label(name="car", dataset_id=0, isthing=True, color=(0, 0, 255)),)
# How many pixels of the painted picture are the object's yellow (not covered by its map), and its map's half blue.
COUNT = """() => {
  const canvas = document.getElementById('picture');
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let bare = 0, covered = 0;
  for (let at = 0; at < data.length; at += 4) {
    const [red, green, blue] = [data[at], data[at + 1], data[at + 2]];
    if (red > 190 && green > 190 && blue < 80) { bare++; }
    if (Math.abs(red - 127) < 40 && Math.abs(green - 127) < 40 && Math.abs(blue - 127) < 40) { covered++; }
  }
  return [bare, covered];
}"""


def place_of(index):
    return 10 + index * 16 % 240


def image_at(index):
    image = np.full((*SIZE, 3), 20, np.uint8)
    image[60:120, place_of(index) : place_of(index) + 60] = (0, 230, 230)
    return image


def result_at(index):
    ids = np.zeros(SIZE, np.int32)
    left = place_of(index)
    ids[60:120, left : left + 60] = 9
    return PanopticResult(ids, [Segment(9, 0, True, 0.9, 3600, (left, 60, 60, 60))], LABELS)


# What the page makes of pictures' times, shifted, that begin at the fourth and miss the 20th's message.
SHIFT = """async ([ticks, stamps]) => {
  const { Shift, wrap } = await import("./page_video.js");
  const shift = new Shift(), known = new Set();
  return stamps.slice(3).map((stamp, index) => {
    ticks.slice(0, index + 6).forEach((one, number) => { if (number !== 20) { known.add(wrap(one)); } });
    return shift.take(stamp, known);
  });
}"""


class Page:
    """A live page of an object that moves by a third of its width from picture to picture."""

    def __init__(self, uri="http://127.0.0.1:0", token=None):
        from segrt.runtime.stream.sinks.live_page import PageSink

        self.sink = PageSink(uri, SinkOptions(token=token))
        self.address = self.sink.address
        recorder = Recorder([SOURCE])
        self.sink.watch(recorder, "http")
        self.sink.open([SourceInfo(SOURCE, Fraction(FPS), live=True)])
        self.index = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._feed, args=(recorder,), daemon=True)
        self._thread.start()

    def _feed(self, recorder):
        began = time.monotonic()
        while not self._stop.is_set():
            frame = Frame(image_at(self.index), self.index, self.index / FPS, time.monotonic(), SOURCE)
            recorder.entered(SOURCE)
            recorder.finished(SOURCE, 1.0, 0)
            self.sink.write(frame, result_at(self.index), None)
            self.index += 1
            time.sleep(max(0.0, began + self.index / FPS - time.monotonic()))

    def end(self):
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            self.sink.close()


@pytest.fixture
def pages():
    opened = []

    def make(**given):
        opened.append(Page(**given))
        return opened[-1]

    yield make
    for page in opened:
        page.end()


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def kinds(page):
    """Return of whom messages are encoded: True with pictures, False without."""
    with page.sink._hub._lock:
        return sorted(client.pictured for client in page.sink._hub._viewers)


def need_another_address():
    import ifaddr

    found = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)]
    if all(address.startswith("127.") for address in found):
        pytest.skip("needs a network address other than loopback")


def test_two_browsers_get_video_of_one_encoder_in_step_with_the_map(pages, browser, monkeypatch):
    pytest.importorskip("aiortc", reason="needs the extra segrt[webrtc]")
    need_another_address()
    from segrt.runtime.stream.web import video_peers

    monkeypatch.setattr(video_peers, "_LEFT_SECONDS", 0.3)
    encoded = count_encoding(monkeypatch)
    page = pages()
    time.sleep(0.2)
    assert encoded == [], "nobody looks"
    tabs = [browser.new_page() for _ in range(2)]
    errors = []
    for tab in tabs:
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(page.address)
    wait_until(lambda: kinds(page) == [False, False])
    wait_until(lambda: len(page.sink._peers.watched(SOURCE)) == 1)
    tabs[1].bring_to_front()

    def is_in_step():
        counts = []
        for _ in range(10):
            counts.append(tabs[1].evaluate(COUNT))
            time.sleep(0.07)
        moved, bare = sorted(covered for _, covered in counts), sorted(bare for bare, _ in counts)
        # An object of 60x60, under its map; a map one picture late leaves 16x60 pixels bare.
        return moved[3] > 2000 and bare[5] < 300

    wait_until(is_in_step)
    assert len(encoded) == len(set(encoded)), "each picture is encoded once for both"
    assert errors == []
    for tab in tabs:
        tab.close()
    wait_until(lambda: not page.sink._peers.watched(SOURCE))
    rested = len(encoded)
    time.sleep(0.2)
    assert len(encoded) == rested


def test_without_aiortc_and_without_a_way_the_page_shows_pictures(pages, browser, monkeypatch):
    from segrt.runtime.stream.web import app, video_answer

    monkeypatch.setattr(app, "why_no_webrtc", lambda: "pip install 'segrt[webrtc]'")
    monkeypatch.setattr(video_answer, "why_no_webrtc", lambda: "pip install 'segrt[webrtc]'")
    page = pages()
    tab = browser.new_page()
    asked = []
    tab.on("request", lambda request: asked.append(request.url) if "webrtc" in request.url else None)
    tab.goto(page.address)
    tab.wait_for_selector("#state.live")
    time.sleep(0.5)
    assert tab.evaluate(COUNT)[1] > 2000
    assert asked == []
    ticks = [7_000_000_000 + index * 6000 + index * index * 37 % 251 for index in range(40)]
    shift = 3_999_999_999
    stamps = [(moment + shift) % 2**32 for moment in ticks]
    found = tab.evaluate(SHIFT, [ticks, stamps])
    assert found[:2] == [None, None], "the gap between two pictures tells, the next one proves it"
    known = found.index(next(moment for moment in found if moment is not None))
    assert known < 12
    assert found[known:] == [moment % 2**32 for moment in ticks[known + 3 :]][: len(found) - known]
    monkeypatch.setattr(app, "why_no_webrtc", lambda: None)  # it says that it can, and cannot
    for _ in range(50):  # the browser's events come while it is asked something
        tab.wait_for_timeout(100)
        if asked:
            break
    assert len(asked) == 1
    assert kinds(page) == [True]
    assert tab.evaluate(COUNT)[1] > 2000


def post(address, body, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(address + "webrtc", data=data, method="POST")
    for name, value in {"content-type": "application/json", **headers}.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_who_may_not_see_the_page_may_not_ask_for_video(pages):
    page = pages(token="a-token-of-ours")
    address = page.address.partition("?")[0]
    offer = {"sdp": "v=0"}
    assert post(address, offer, origin=address.rstrip("/"))[0] == 401
    assert post(address, offer, authorization="Bearer another-token")[0] == 401
    assert post(address, offer, authorization="Bearer a-token-of-ours", origin="http://evil.example")[0] == 403
    assert page.sink._peers.count() == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        ({"sdp": 5}, 400),
        ({"sdp": "v=0", "x": 1}, 400),
        ({"sdp": "v=0", "source": "other"}, 404),
        ({"sdp": "hunter2"}, 422),
        ({"sdp": "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"}, 422),
        (b"[" * 70_000, 413),
    ],
)
def test_an_offer_that_is_none_is_answered_in_one_line(pages, body, status):
    pytest.importorskip("aiortc", reason="needs the extra segrt[webrtc]")
    page = pages()
    address = page.address
    own = {"origin": address.rstrip("/")}
    given, text = post(address, body, **own)
    assert given == status
    assert text.count("\n") <= 1
    assert post(address, {"sdp": "v=0"})[0] == 403, "who is not the page"
    assert page.sink._peers.count() == 0


def test_a_browser_that_is_behind_goes_on_with_the_next_key_picture():
    pytest.importorskip("aiortc", reason="needs the extra segrt[webrtc]")
    import asyncio

    from segrt.runtime.stream.web.video_peers import _track_class

    async def watch():
        track = _track_class()()
        assert track.offer(Encoded(b"0", 0, False)), "it waits for a key picture, and asks for one"
        asked = [track.offer(Encoded(b"%d" % number, number, number in (1, 15))) for number in range(1, 18)]
        taken = [bytes(await track.recv()) for _ in range(3)]
        assert len(track._held) == 0
        return asked, taken

    asked, taken = asyncio.run(watch())
    assert taken == [b"15", b"16", b"17"]
    assert asked == [False] * 8 + [True] * 6 + [False] * 3


def test_a_browser_without_h264_gets_vp8_and_one_too_many_gets_pictures(pages):
    aiortc = pytest.importorskip("aiortc", reason="needs the extra segrt[webrtc]")
    need_another_address()
    import asyncio

    page = pages()

    async def watch():
        connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        transceiver = connection.addTransceiver("video", direction="recvonly")
        codecs = aiortc.RTCRtpReceiver.getCapabilities("video").codecs
        transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType == "video/VP8"])
        tracks = []
        connection.on("track", tracks.append)
        await connection.setLocalDescription(await connection.createOffer())
        offer = {"sdp": connection.localDescription.sdp}
        origin = page.address.rstrip("/")
        status, text = await asyncio.to_thread(post, page.address, offer, origin=origin)
        assert status == 200, text
        page.sink._peers._most = 1
        refused = await asyncio.to_thread(post, page.address, offer, origin=origin)
        await connection.setRemoteDescription(aiortc.RTCSessionDescription(json.loads(text)["sdp"], "answer"))
        frames = [await asyncio.wait_for(tracks[0].recv(), 15) for _ in range(5)]
        watched = list(page.sink._peers.watched(SOURCE))
        await connection.close()
        return frames, watched, refused

    frames, watched, (status, text) = asyncio.run(watch())
    assert watched == ["VP8"]
    assert [(frame.height, frame.width) for frame in frames] == [SIZE] * 5
    yellow = frames[-1].to_ndarray(format="bgr24").reshape(-1, 3)
    assert (yellow[:, 0] < 100)[yellow[:, 1] > 150].mean() > 0.9, "the object, in its colour"
    assert status == 503
    assert "too many browsers take video" in text
