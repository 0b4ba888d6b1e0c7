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

    / (the page), /stream (messages, see `encode`), /state.json (what the page shows besides), /result.json (the latest
    results), /frame.jpg (the latest picture), /metrics (Prometheus), /healthz. `?source=` picks one of several.
    """

    def source_of(request: Request) -> str | None:
        name = request.query_params.get("source") or next(iter(hub.source_ids), None)
        return name if name in hub.source_ids else None

    async def static(request: Request) -> Response:
        name, kind = _FILES[request.url.path]
        return Response((files(__package__) / name).read_bytes(), headers={"content-type": kind})

    async def state(_: Request) -> Response:
        held = recorder()
        said: dict[str, Any] = {
            "technique": hub.technique,
            "clients": hub.clients(),
            "labels": [{"name": label.name, "color": label.color, "isthing": label.isthing} for label in hub.labels],
            "states": held.states() if held else {},
            "newest": {name: held.newest(name) for name in hub.source_ids} if held else {},
            "metrics": await run_in_threadpool(held.metrics) if held else None,
        }
        return _json(said)

    async def result(request: Request) -> Response:
        if (source_id := source_of(request)) is None or (latest := hub.latest(source_id)) is None:
            return _json({"error": "there is no result yet"}, 503)
        return _json(await run_in_threadpool(line_of, *latest))

    async def frame(request: Request) -> Response:
        if (source_id := source_of(request)) is None or (latest := hub.latest(source_id)) is None:
            return _json({"error": "there is no picture yet"}, 503)
        return Response(await run_in_threadpool(picture, latest[0]), media_type="image/jpeg")

    async def metrics(_: Request) -> Response:
        held = recorder()
        body = await run_in_threadpool(exposition, held) if held else b""
        return Response(body, headers={"content-type": "text/plain; version=0.0.4; charset=utf-8"})

    async def health(_: Request) -> Response:
        now = time.monotonic()
        ages = [now - one[0].capture_time for name in hub.source_ids if (one := hub.latest(name)) is not None]
        held = recorder()
        lost = [state for state in (held.states() if held else {}).values() if state not in ("live", "frozen", "black")]
        healthy = bool(ages) and len(ages) == len(hub.source_ids) and max(ages) < _HEALTHY_SECONDS and not lost
        return Response("ok\n" if healthy else "no recent frames\n", status_code=200 if healthy else 503)

    async def stream(request: Request) -> Any:
        if (source_id := source_of(request)) is None:
            return _json({"error": "there is no such source"}, 404)
        client = hub.join(source_id)
        if client is None:
            return _json({"error": "too many are watching"}, 503)
        return _Messages(hub, client)

    routes = [Route(path, static) for path in _FILES]
    for path, answer in (
        ("/state.json", state),
        ("/result.json", result),
        ("/frame.jpg", frame),
        ("/metrics", metrics),
        ("/healthz", health),
        ("/stream", stream),
    ):
        routes.append(Route(path, answer))
    return Starlette(routes=routes)


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
            self._hub.part(self._client)

    async def _leave_with(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._client.leave()
