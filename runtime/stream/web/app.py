"""What the live page's server answers."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from segrt.runtime.outputs.result_lines import line_of
from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.web.access import Receive, Scope, Send
from segrt.runtime.stream.web.frame_message import picture
from segrt.runtime.stream.web.hub import Client, Hub
from segrt.runtime.stream.web.prometheus import exposition

SEND_SECONDS = 5.0  # a browser that takes nothing for so long is asleep
_HEALTHY_SECONDS = 10.0
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}


def make_app(hub: Hub, recorder: Callable[[], Recorder | None]) -> Starlette:
    """Return the application; `recorder` gives the run's metrics once there are some.

    / (the page), /stream (messages, see `frame_message`), /state.json (what the page shows besides), /result.json (the
    latest results), /frame.jpg (the latest picture), /metrics (Prometheus), /healthz. `?source=` picks one of several.
    """
    answers = _Answers(hub, recorder)
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
    return Starlette(routes=routes)


class _Answers:
    """What each path answers."""

    def __init__(self, hub: Hub, recorder: Callable[[], Recorder | None]) -> None:
        self._hub = hub
        self._recorder = recorder

    async def static(self, request: Request) -> Response:
        name, kind = _FILES[request.url.path]
        return Response((files(__package__) / name).read_bytes(), headers={"content-type": kind})

    async def state(self, _: Request) -> Response:
        hub, run = self._hub, self._recorder()
        document: dict[str, Any] = {
            "technique": hub.technique,
            "clients": hub.clients(),
            "labels": [{"name": label.name, "color": label.color, "isthing": label.isthing} for label in hub.labels],
            "states": run.states() if run else {},
            "newest": {name: run.newest(name) for name in hub.source_ids} if run else {},
            "metrics": await run_in_threadpool(run.metrics) if run else None,
        }
        return _json(document)

    async def result(self, request: Request) -> Response:
        if (latest := self._latest(request)) is None:
            return _json({"error": "there is no result yet"}, 503)
        return _json(await run_in_threadpool(line_of, *latest))

    async def frame(self, request: Request) -> Response:
        if (latest := self._latest(request)) is None:
            return _json({"error": "there is no picture yet"}, 503)
        return Response(await run_in_threadpool(picture, latest[0]), media_type="image/jpeg")

    async def metrics(self, _: Request) -> Response:
        run = self._recorder()
        body = await run_in_threadpool(exposition, run) if run else b""
        return Response(body, headers={"content-type": "text/plain; version=0.0.4; charset=utf-8"})

    async def health(self, _: Request) -> Response:
        now = time.monotonic()
        source_ids = self._hub.source_ids
        newest = [latest[0] for name in source_ids if (latest := self._hub.latest(name)) is not None]
        ages = [now - frame.capture_time for frame in newest]
        run = self._recorder()
        lost = [state for state in (run.states() if run else {}).values() if state not in ("live", "frozen", "black")]
        healthy = bool(ages) and len(ages) == len(source_ids) and max(ages) < _HEALTHY_SECONDS and not lost
        return Response("ok\n" if healthy else "no recent frames\n", status_code=200 if healthy else 503)

    async def stream(self, request: Request) -> Any:
        if (source_id := self._source_of(request)) is None:
            return _json({"error": "there is no such source"}, 404)
        client = self._hub.add(source_id)
        if client is None:
            return _json({"error": "too many are watching"}, 503)
        return _Messages(self._hub, client)

    def _source_of(self, request: Request) -> str | None:
        name = request.query_params.get("source") or next(iter(self._hub.source_ids), None)
        return name if name in self._hub.source_ids else None

    def _latest(self, request: Request) -> tuple[Frame, Result] | None:
        source_id = self._source_of(request)
        return None if source_id is None else self._hub.latest(source_id)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


class _Messages(Response):
    """Sends a client its messages for as long as it takes them."""

    def __init__(self, hub: Hub, client: Client) -> None:
        super().__init__()
        self._hub, self._client = hub, client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        leaving = asyncio.ensure_future(self._leave_with(receive))
        try:
            kind = (b"content-type", b"application/octet-stream")
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

    async def _leave_with(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._client.leave()
