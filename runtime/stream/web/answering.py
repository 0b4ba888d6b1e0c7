"""What answers are made with."""

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from segrt.runtime.files.json_files import encode_json


async def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Return what `work` returns, from a thread of its own where there can be one."""
    try:
        return await run_in_threadpool(work, *arguments)
    except RuntimeError:  # "can't start new thread"
        return work(*arguments)


def json_answer(value: Any, status: int = 200) -> Response:
    """Return `value` as JSON."""
    return Response(encode_json(value), status_code=status, media_type="application/json")
