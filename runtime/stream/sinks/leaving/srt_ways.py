"""The two ways over SRT: FFmpeg's where PyAV was built with it, else GStreamer's srtsink."""

import sys
from collections.abc import Mapping
from pathlib import Path

import av
import av.error

from segrt.runtime.errors import VideoError
from segrt.runtime.outputs.gstreamer_bindings import start
from segrt.runtime.stream.sinks.leaving import srt_child
from segrt.runtime.stream.sinks.leaving.leaving_address import Target
from segrt.runtime.stream.sinks.leaving.push_outlet import Pusher

_PACKAGES = (
    "python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-bad"
)


def has_srt() -> bool:
    """Say whether PyAV's FFmpeg was built with SRT: the wheels of 15.1 were, those of 14 and of 16 to 18 were not."""
    try:
        av.open("srt://127.0.0.1:1?mode=caller&connect_timeout=1", timeout=1.0).close()
    except av.error.ProtocolNotFoundError:
        return False
    except (av.error.FFmpegError, OSError):
        pass
    return True


def gstreamer_pusher(target: Target, options: Mapping[str, str]) -> Pusher:
    """Return GStreamer's; raise VideoError where it, or its SRT, is not installed."""
    gst = start(f"sink {target.shown}", _PACKAGES)
    lacking = [name for name in ("srtsink", "mpegtsmux", "h264parse") if gst.ElementFactory.find(name) is None]
    if lacking:
        raise VideoError(
            f"sink {target.shown}: neither this PyAV nor this GStreamer has SRT; "
            "sudo apt-get install gstreamer1.0-plugins-bad"
        )
    host = f"[{target.host}]" if ":" in target.host else target.host
    folder = Path(str(sys.modules["gi"].__file__)).parents[1]
    order = {"uri": f"srt://{host}:{target.port}?mode=caller", "options": dict(options), "folder": str(folder)}
    return Pusher(Path(srt_child.__file__), order)
