"""Browsers that take the camera's pictures over WebRTC: negotiated and served by aiortc, in the page's own loop.

They get pictures that are encoded already (`video_feed`), so that one more browser costs packets alone. The offer comes
over the page, to whoever may see the page; without aiortc, or where no way to a browser is found, it shows single
pictures instead.
"""

import asyncio
import re
import secrets
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection
from contextlib import suppress
from fractions import Fraction
from importlib.util import find_spec
from typing import Any

import av

from segrt.runtime.outputs.encoders.encoded import TICKS, Encoded
from segrt.runtime.stream.web.video_feed import CODECS

MOST_PEERS = 8
_WAITING = 8  # pictures that a browser may be behind; then it goes on with the next key picture
_CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 0.5
_LEFT_SECONDS = 3.0  # after the page's own stream has ended; a page that goes on takes the next one at once
_CANDIDATE = re.compile(r"(a=candidate:\S+ \d+ \w+ \d+ )\S+\.local( )")
_MEDIA = re.compile(r"^m=video \d+ \S+ (\d+)", re.MULTILINE)


def why_no_webrtc() -> str | None:
    """Return why browsers get no video, None where they may."""
    return None if find_spec("aiortc") is not None else "pip install 'segrt[webrtc]'"


class Peers:
    """The browsers that watch by WebRTC, `most` at once; all calls but `watched` and `deliver` come from the loop.

    `ask_for_key` is told, with source and codec, when a browser needs a picture that can be shown by itself.
    """

    def __init__(self, most: int, ask_for_key: Callable[[str, str], None]) -> None:
        self._most = most
        self._ask = ask_for_key
        self._lock = threading.Lock()
        self._peers: set[_Peer] = set()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None

    def watched(self, source_id: str) -> Collection[str]:
        """Return the codecs in which a source is taken."""
        with self._lock:
            return [codec for codec in CODECS if self._counts[source_id, codec] > 0]

    def deliver(self, source_id: str, codec: str, encoded: Encoded) -> None:
        """Hand an encoded picture to the browsers that take it; called from the sink's thread."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._hand_out, source_id, codec, encoded)

    async def answer(self, source_id: str, offer: str, host: str) -> tuple[str, str] | None:
        """Return the answer to a browser at `host` that offers to take a source, and what its video is called.

        None where there are too many.

        Raises ValueError for an offer that holds nothing that can be sent.
        """
        import aiortc

        self._loop = asyncio.get_running_loop()
        if len(self._peers) >= self._most:
            return None
        # Nobody outside is asked for addresses (STUN): the browser that reaches the page reaches this host.
        peer = _Peer(aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[])), source_id)
        self._peers.add(peer)
        try:
            text = await peer.negotiate(aiortc, _CANDIDATE.sub(rf"\g<1>{host}\g<2>", offer))
        except Exception as error:  # whatever aiortc says of an offer that came from outside
            self._peers.discard(peer)
            await peer.connection.close()
            raise ValueError(f"this offer cannot be taken: {error}") from None
        peer.connection.on("connectionstatechange", lambda: self._changed(peer))
        peer.on_loss(lambda: self._ask(peer.source_id, peer.codec))
        self._loop.call_later(_CONNECT_SECONDS, self._end_unless_connected, peer)
        return text, peer.film

    def hold(self, film: str) -> None:
        """Note that a page reads what belongs to its video."""
        for peer in self._peers:
            peer.readers += peer.film == film

    def release(self, film: str) -> None:
        """Note that it reads no more: unless it soon does again, it has left, which WebRTC would notice late."""
        for peer in [peer for peer in self._peers if peer.film == film]:
            peer.readers -= 1
            if self._loop is not None:
                self._loop.call_later(_LEFT_SECONDS, self._end_unless_read, peer)

    async def close(self) -> None:
        """Send everybody away."""
        endings = asyncio.gather(*(self._end(peer) for peer in list(self._peers)))
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(endings, _CLOSE_SECONDS)

    def count(self) -> int:
        """Return how many browsers watch, or are about to."""
        return len(self._peers)

    def _hand_out(self, source_id: str, codec: str, encoded: Encoded) -> None:
        for peer in self._peers:
            if peer.counted and (peer.source_id, peer.codec) == (source_id, codec) and peer.track.offer(encoded):
                self._ask(source_id, codec)

    def _changed(self, peer: "_Peer") -> None:
        state = peer.connection.connectionState
        if state == "connected" and not peer.counted:
            peer.counted = True
            with self._lock:
                self._counts[peer.source_id, peer.codec] += 1
            self._ask(peer.source_id, peer.codec)
        elif state in ("failed", "closed", "disconnected"):
            asyncio.ensure_future(self._end(peer))  # noqa: RUF006 (the loop lives for as long as the page)

    def _end_unless_connected(self, peer: "_Peer") -> None:
        if not peer.counted and peer in self._peers:
            asyncio.ensure_future(self._end(peer))  # noqa: RUF006

    def _end_unless_read(self, peer: "_Peer") -> None:
        if peer.readers <= 0 and peer in self._peers:
            asyncio.ensure_future(self._end(peer))  # noqa: RUF006

    async def _end(self, peer: "_Peer") -> None:
        if peer not in self._peers:
            return
        self._peers.discard(peer)
        if peer.counted:
            with self._lock:
                self._counts[peer.source_id, peer.codec] -= 1
        with suppress(Exception):  # it is gone; nothing of it is needed any more
            await peer.connection.close()


class _Peer:
    """One browser: its connection, what it watches, and the codec that it takes."""

    def __init__(self, connection: Any, source_id: str) -> None:
        self.connection = connection
        self.source_id = source_id
        self.codec = ""
        self.counted = False
        self.film = secrets.token_urlsafe(12)
        self.readers = 0
        self.track: Any = None
        self._sender: Any = None

    async def negotiate(self, aiortc: Any, offer: str) -> str:
        """Return the answer to an offer, with H.264 where the browser has it, else VP8."""
        self.track = _track_class()()
        self._sender = self.connection.addTrack(self.track)
        codecs = aiortc.RTCRtpSender.getCapabilities("video").codecs
        order = sorted(codecs, key=lambda codec: not codec.mimeType.upper().endswith("H264"))
        for transceiver in self.connection.getTransceivers():
            transceiver.setCodecPreferences(order)
        await self.connection.setRemoteDescription(aiortc.RTCSessionDescription(offer, "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        text = str(self.connection.localDescription.sdp)
        self.codec = _codec_of(text)
        return text

    def on_loss(self, call: Callable[[], None]) -> None:
        """Call when the browser has lost a picture; aiortc tells only encoders of its own, in a method of its own."""
        if hasattr(self._sender, "_send_keyframe"):
            self._sender._send_keyframe = call


def _codec_of(sdp: str) -> str:
    """Return which of `CODECS` an answer has chosen; raise ValueError for another one."""
    media = _MEDIA.search(sdp)
    chosen = media and re.search(rf"^a=rtpmap:{media[1]} (\w+)/", sdp, re.MULTILINE)
    if not chosen or chosen[1] not in CODECS:
        raise ValueError(f"it takes none of {', '.join(CODECS)}")
    return chosen[1]


def _track_class() -> Any:
    """Return the class of tracks, which is derived from one of aiortc's."""
    from aiortc.mediastreams import MediaStreamError, VideoStreamTrack

    class EncodedTrack(VideoStreamTrack):  # type: ignore[misc, unused-ignore]
        """Gives encoded pictures in their order; one who is behind misses those up to the next key picture."""

        def __init__(self) -> None:
            super().__init__()
            self._held: deque[Encoded] = deque()
            self._changed = asyncio.Event()
            self._waits_for_key = True

        def offer(self, encoded: Encoded) -> bool:
            """Take a picture; return whether a key picture is needed."""
            if len(self._held) >= _WAITING:
                self._held.clear()
                self._waits_for_key = True
            if self._waits_for_key and not encoded.is_key:
                return True
            self._waits_for_key = False
            self._held.append(encoded)
            self._changed.set()
            return False

        async def recv(self) -> Any:
            """Wait for the next picture."""
            while not self._held:
                if self.readyState != "live":
                    raise MediaStreamError
                self._changed.clear()
                await self._changed.wait()
            encoded = self._held.popleft()
            packet = av.Packet(encoded.data)
            packet.pts, packet.time_base = encoded.ticks, Fraction(1, TICKS)
            return packet

        def stop(self) -> None:
            """Wake whoever waits."""
            super().stop()
            self._changed.set()

    return EncodedTrack
