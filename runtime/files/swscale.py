"""How PyAV's conversion of pixel formats is kept on the calling thread."""

from functools import cache
from typing import Any

import av


@cache
def one_thread() -> dict[str, Any]:
    """Return the arguments of `reformat` and `to_ndarray` for it; PyAV before 17 knows none and needs none.

    Slices in threads cost more than they bring here, and where the system gives no thread the conversion would fail.
    """
    try:
        av.VideoFrame(2, 2, "gray").reformat(format="bgr24", threads=1)
    except TypeError:
        return {}
    return {"threads": 1}
