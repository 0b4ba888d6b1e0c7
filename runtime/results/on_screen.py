"""A picture on a screen: in a notebook, in a window of OpenCV's, or in the desktop's own viewer."""

import os
import sys
from typing import Any

from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture, encode_image, quiet_cv2

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


def show_picture(picture: Picture, title: str) -> None:
    """Show `picture`, uint8 BGR (H, W, 3); raise SegrtError where there is nothing to show it on.

    A window stays until a key is pressed.
    """
    notebook = _notebook()
    if notebook is not None:
        notebook(encode_image(picture, ".png"))
        return
    if not any(os.environ.get(name) for name in _DISPLAYS):
        raise SegrtError(f"show: there is no display ({_DISPLAYS[0]} is not set); save(path) writes the picture")
    cv2 = quiet_cv2()
    if has_windows(cv2.getBuildInformation()):
        cv2.imshow(title, picture)
        cv2.waitKey(0)
        cv2.destroyWindow(title)
        return
    from PIL import Image, ImageShow

    if not ImageShow.show(Image.fromarray(picture[..., ::-1]), title):
        raise SegrtError("show: neither OpenCV's windows nor a viewer of pictures are installed; use save(path)")


def has_windows(build_information: str) -> bool:
    """Whether an OpenCV of this build information can open windows; the headless one cannot."""
    values = [line.partition(":")[2].strip() for line in build_information.splitlines() if line.strip()[:4] == "GUI:"]
    return bool(values) and values[0] != "NONE"


def _notebook() -> Any:
    """Return what displays a PNG in the notebook that this runs in, or None outside one."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import Image, display  # type: ignore[import-not-found,unused-ignore]  # a notebook has it

    return lambda data: display(Image(data))
