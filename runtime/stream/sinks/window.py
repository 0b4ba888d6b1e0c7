"""Results in a window on this machine's screen."""

import os
import sys

import cv2

from segrt.runtime.files.images import Picture
from segrt.runtime.results import Result
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.sinks.sink import Sink

_TITLE = "segrt"
_ENDING = (ord("q"), 27)  # 27 is Esc


def why_no_window() -> str | None:
    """Return why no window can be opened here, or None: OpenCV without one, or no display."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "there is no display"
    gui = next(
        (line for line in cv2.getBuildInformation().splitlines() if line.strip().startswith("GUI:")), "GUI: NONE"
    )
    return "this OpenCV has no windows" if gui.split(":", 1)[1].strip().upper() in ("NONE", "") else None


class WindowSink(Sink):
    """Shows the newest overlay of each source in a window of OpenCV's; q, Esc or closing it ends the showing alone."""

    name = "window"
    needs_drawing = True
    keeps = False

    def __init__(self) -> None:
        self._open: dict[str, bool] = {}

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:  # noqa: ARG002
        """Show the drawn frame, unless its window was closed."""
        assert drawn is not None
        title = f"{_TITLE}: {frame.source_id}"
        if title not in self._open:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL)
            self._open[title] = True
        if not self._open[title]:
            return
        cv2.imshow(title, drawn)
        key = cv2.waitKey(1) & 0xFF
        if key in _ENDING or cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1:
            self._open[title] = False
            cv2.destroyWindow(title)

    def close(self) -> None:
        """Close the windows."""
        for title, is_open in self._open.items():
            if is_open:
                cv2.destroyWindow(title)
        self._open = {}
