"""What a PUT of zones is answered; who may make one is decided before."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from segrt.runtime.errors import SegrtError
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.stream.web.answering import apart, json_answer
from segrt.runtime.stream.zone_saving import ZonesChangedError

ZONES_PATH = "/zones.json"
_BODY_SECONDS = 5.0  # in which the whole file has to be here


def file_of(run: Recorder | None) -> dict[str, Any] | None:
    """Return the name and revision of the file that zones are saved in, None of a run that saves none."""
    saving = None if run is None else run.zone_saving
    return None if saving is None else {"name": saving.name, "revision": saving.revision}


def zone_answer(recorder: Callable[[], Recorder | None]) -> Callable[[Request], Awaitable[Response]]:
    """Return what saves the zones in a request's body, and answers {"revision": ...} or {"error": ...}.

    `If-Match` names the revision that they were drawn over, where that matters: 412 when there is another one by now.
    """

    async def save(request: Request) -> Response:
        run = recorder()
        saving = None if run is None else run.zone_saving
        if saving is None:
            return json_answer({"error": "this stream saves no zones; start it with --zones FILE --zones-edit"}, 404)
        try:
            data = await asyncio.wait_for(request.body(), _BODY_SECONDS)
        except asyncio.TimeoutError:
            return json_answer({"error": f"the zones did not come within {_BODY_SECONDS:g} s"}, 408)
        except ClientDisconnect:
            return json_answer({"error": "the zones did not come whole"}, 400)
        revision = request.headers.get("if-match")
        try:
            saved = await apart(saving.save, data, None if revision is None else revision.strip('"'))
        except ZonesChangedError as error:
            return json_answer({"error": str(error)}, 412)
        except SegrtError as error:
            return json_answer({"error": str(error)}, 422)
        return json_answer({"revision": saved})

    return save
