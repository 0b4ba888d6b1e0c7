"""What the live page's server answers."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from segrt.runtime.draw.painted_classes import is_painted
from segrt.runtime.outputs.result_lines import line_of
from segrt.runtime.results import Label
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.web.access import ADMITTED, Receive, Scope, Send
from segrt.runtime.stream.web.answering import apart, json_answer
from segrt.runtime.stream.web.frame_message import picture
from segrt.runtime.stream.web.hub import Hub, Newest
from segrt.runtime.stream.web.prometheus import exposition
from segrt.runtime.stream.web.video_answer import MOST_BYTES as MOST_OFFER
from segrt.runtime.stream.web.video_answer import VIDEO_PATH, video_answer
from segrt.runtime.stream.web.video_peers import Peers, why_no_webrtc
from segrt.runtime.stream.web.viewers import Client
from segrt.runtime.stream.web.zone_answer import ZONES_PATH, file_of, zone_answer
from segrt.runtime.zones.zone_file import MOST_BYTES

SEND_SECONDS = 5.0  # a browser that takes nothing for so long is asleep
_HEALTHY_SECONDS = 10.0
_HEALTHY_STATES = ("live", "frozen", "black")
_LONGEST_NAME = 64
_STREAM = "application/octet-stream"
CHANGING = {ZONES_PATH: MOST_BYTES}
"""What a page that may save takes with PUT → most bytes of it."""
ASKING = {VIDEO_PATH: MOST_OFFER}
"""What every page takes with POST, and changes nothing → most bytes of it."""
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    **{
        f"/{name}": (name, "text/javascript; charset=utf-8")
        for name in (
            "page.js",
            "page_captions.js",
            "page_classes.js",
            "page_messages.js",
            "page_paint.js",
            "page_tracks.js",
            "page_video.js",
            "page_zones.js",
            "page_zone_editor.js",
        )
    },
}


def make_app(hub: Hub, recorder: Callable[[], Recorder | None], peers: Peers) -> Starlette:
    """Return the application; `recorder` gives the run's metrics once there are some, `peers` take video.

    / (the page), /stream (messages, see `frame_message`), /state.json (what the page shows besides), /result.json (the
    latest results), /frame.jpg (the latest picture), /metrics (Prometheus), /healthz (who is not admitted gets no more
    than yes or no). `?source=` picks one of several. A PUT of /zones.json saves zones, where the run allows it; a POST
    to /webrtc asks for video.
    """
    answers = _Answers(hub, recorder, peers)
    routes = [Route(path, answers.static) for path in _FILES]
    for path, answer in (
        ("/state.json", answers.state),
        ("/result.json", answers.result),
        ("/frame.jpg", answers.frame),
        ("/metrics", answers.metrics),
        ("/healthz", answers.health),
        ("/stream", answers.stream),
    ):
        routes.append(Route(path, answer))
    routes.append(Route(ZONES_PATH, zone_answer(recorder), methods=["PUT"]))
    routes.append(Route(VIDEO_PATH, video_answer(hub, peers), methods=["POST"]))
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    return app


class _Answers:
    """What each path answers."""

    def __init__(self, hub: Hub, recorder: Callable[[], Recorder | None], peers: Peers) -> None:
        self._hub = hub
        self._peers = peers
        self._recorder = recorder

    async def static(self, request: Request) -> Response:
        name, kind = _FILES[request.url.path]
        return Response((files(__package__) / name).read_bytes(), headers={"content-type": kind})

    async def state(self, _: Request) -> Response:
        hub, run = self._hub, self._recorder()
        metrics = await apart(run.metrics) if run else None
        zones_file = file_of(run)  # before the zones: a page may know older ones than they are, never newer
        document: dict[str, Any] = {
            "technique": hub.technique,
            "clients": hub.clients(),
            "labels": [_described(label) for label in hub.labels],
            "states": run.states() if run else {},
            "newest": {name: run.newest(name) for name in hub.source_ids} if run else {},
            "metrics": metrics,
            "webrtc": why_no_webrtc() is None,
            "zones": _zones(run),
            "zones_file": zones_file,
        }
        return json_answer(document)

    async def result(self, request: Request) -> Response:
        if (latest := self._latest(request)) is None:
            return json_answer({"error": "there is no result yet"}, 503)
        return json_answer(await apart(_answer, latest))

    async def frame(self, request: Request) -> Response:
        if (latest := self._latest(request)) is None:
            return json_answer({"error": "there is no picture yet"}, 503)
        return Response(await apart(picture, latest.frame), media_type="image/jpeg")

    async def metrics(self, _: Request) -> Response:
        run = self._recorder()
        body = await apart(exposition, run, self._hub.latest) if run else b""
        return Response(body, headers={"content-type": "text/plain; version=0.0.4; charset=utf-8"})

    async def health(self, request: Request) -> Response:
        now = time.monotonic()
        run = self._recorder()
        states = run.states() if run else {}
        troubles = {name: self._trouble(name, states.get(name), now) for name in self._hub.source_ids}
        if troubles and not any(troubles.values()):
            return Response("ok\n")
        said = "; ".join(f"{name}: {trouble}" for name, trouble in troubles.items() if trouble)
        detail = f": {said}" if said and request.scope.get(ADMITTED) else ""
        return Response(f"no recent frames{detail}\n", status_code=503)

    def _trouble(self, source_id: str, state: str | None, now: float) -> str | None:
        """Return what keeps a source from being healthy."""
        latest = self._hub.latest(source_id)
        words = [] if state is None or state in _HEALTHY_STATES else [state]
        if latest is None:
            words.append("no frame yet")
        elif now - latest.frame.capture_time >= _HEALTHY_SECONDS:
            words.append(f"no frame for {now - latest.frame.capture_time:.0f} s")
        return ", ".join(words) or None

    async def stream(self, request: Request) -> Any:
        if (source_id := self._source_of(request)) is None:
            return json_answer({"error": "there is no such source"}, 404)
        if request.method == "HEAD":
            return Response(media_type=_STREAM)
        film = request.query_params.get("film", "")  # the video that it has in the place of pictures
        browser, page = (request.query_params.get(name, "")[:_LONGEST_NAME] for name in ("browser", "page"))
        client = Client(source_id, browser, page, pictured=not film)
        if (reason := self._hub.add(client)) is not None:
            return json_answer({"error": reason}, 503)
        return _Messages(self._hub, client, self._peers, film)

    def _source_of(self, request: Request) -> str | None:
        name = request.query_params.get("source") or next(iter(self._hub.source_ids), None)
        return name if name in self._hub.source_ids else None

    def _latest(self, request: Request) -> Newest | None:
        source_id = self._source_of(request)
        return None if source_id is None else self._hub.latest(source_id)


def _zones(run: Recorder | None) -> dict[str, Any] | None:
    """Return source → its zones and lines with their counts, None of a run without."""
    if run is None or run.zones is None:
        return None
    return {name: run.zones.described(name) for name in run.zones.sources()}


def _described(label: Label) -> dict[str, Any]:
    return {"name": label.name, "color": label.color, "isthing": label.isthing, "painted": is_painted(label)}


def _answer(latest: Newest) -> dict[str, Any]:
    """Return the result as a line, with the time of its capture and how long it took."""
    moment = datetime.fromtimestamp(latest.time, timezone.utc).isoformat(timespec="milliseconds")
    timings = latest.result.timings
    took = {} if timings is None else {"latency_ms": {
        "preprocess": round(timings.preprocess_ms, 2),
        "inference": round(timings.inference_ms, 2),
        "postprocess": round(timings.postprocess_ms, 2),
        "total": round(timings.total_ms, 2),
    }}  # fmt: skip
    return {"time": moment, "age_ms": latest.age_ms, **took, **line_of(latest.frame, latest.result)}


class _Messages(Response):
    """Sends a client its messages for as long as it takes them."""

    def __init__(self, hub: Hub, client: Client, peers: Peers, film: str) -> None:
        super().__init__()
        self._hub, self._client = hub, client
        self._peers, self._film = peers, film

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        leaving = asyncio.ensure_future(self._leave_with(receive))
        self._peers.hold(self._film)
        try:
            kind = (b"content-type", _STREAM.encode())
            await send({"type": "http.response.start", "status": 200, "headers": [kind]})
            while (message := await self._client.next()) is not None:
                event = {"type": "http.response.body", "body": message, "more_body": True}
                await asyncio.wait_for(send(event), SEND_SECONDS)
            with suppress(asyncio.TimeoutError, OSError):
                await asyncio.wait_for(send({"type": "http.response.body", "body": b""}), 0.5)
        except (asyncio.TimeoutError, OSError):
            pass  # asleep: the server closes the connection
        finally:
            leaving.cancel()
            self._hub.remove(self._client)
            self._peers.release(self._film)

    async def _leave_with(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._client.leave()
