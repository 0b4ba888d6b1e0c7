"""What a browser's offer to take video over WebRTC is answered; who may make one is decided before."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from segrt.runtime.stream.web.answering import apart, json_answer
from segrt.runtime.stream.web.hub import Hub
from segrt.runtime.stream.web.video_peers import Peers, why_no_webrtc

VIDEO_PATH = "/webrtc"
MOST_BYTES = 64 << 10
"""Of an offer; a browser's has 5 KiB or so."""
_BODY_SECONDS = 5.0


class Offer(msgspec.Struct, forbid_unknown_fields=True):
    """A session description (SDP) that offers to receive video of `source`, "" for the first one."""

    sdp: str
    source: str = ""


def video_answer(hub: Hub, peers: Peers) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers an `Offer` with {"sdp": ..., "film": ...} or {"error": ...}."""

    async def negotiate(request: Request) -> Response:
        if (reason := why_no_webrtc()) is not None:
            return json_answer({"error": reason}, 501)
        try:
            data = await asyncio.wait_for(request.body(), _BODY_SECONDS)
            offer = msgspec.json.decode(data, type=Offer)
        except (asyncio.TimeoutError, ClientDisconnect, msgspec.MsgspecError):
            return json_answer({"error": 'this is no offer: send {"sdp": ..., "source": ...}'}, 400)
        source = offer.source or next(iter(hub.source_ids), "")
        if source not in hub.source_ids:
            return json_answer({"error": "there is no such source"}, 404)
        host = request.client.host if request.client else "127.0.0.1"
        await apart(_load)  # takes its time, once
        try:
            answer = await peers.answer(source, offer.sdp, host)
        except ValueError as error:
            return json_answer({"error": str(error)}, 422)
        if answer is None:
            return json_answer({"error": "too many browsers take video; this one gets single pictures"}, 503)
        return json_answer({"sdp": answer[0], "film": answer[1]})

    return negotiate


def _load() -> None:
    import aiortc  # noqa: F401

    for name in ("aiortc", "aioice"):  # they tell of every browser's addresses
        logging.getLogger(name).setLevel(logging.ERROR)
