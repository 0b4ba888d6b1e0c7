"""How `segrt stream` reads its sources: which frames it takes, how long it waits, and what decodes video."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from segrt.runtime.cli.options import grouped
from segrt.runtime.console.quantities import DURATION, FiniteRange

if TYPE_CHECKING:
    from segrt.runtime.stream.sources.cpu_decoder import WantedDecoder
    from segrt.runtime.stream.sources.live import LiveOptions
    from segrt.runtime.stream.thinning import Thinning


@dataclass(frozen=True)
class ReadingOptions:
    """What the command says of reading: every N-th frame, frames a second, seconds, a transport, a decoder."""

    every: int = 1
    target_fps: float | None = None
    max_age: float | None = None
    read_timeout: float = 4.0
    rtsp_transport: str = "tcp"
    decode_video: "WantedDecoder" = "auto"

    @property
    def thinning(self) -> "Thinning":
        """Which frames are wanted."""
        from segrt.runtime.stream.thinning import Thinning

        return Thinning(self.every, self.target_fps, self.max_age)

    @property
    def live(self) -> "LiveOptions":
        """How live sources are read."""
        from segrt.runtime.stream.sources.live import LiveOptions

        return LiveOptions(self.read_timeout, self.rtsp_transport)


_OPTIONS = (
    click.option("--every", type=click.IntRange(min=1), default=1, metavar="N", help="Take every N-th frame only."),
    click.option("--target-fps", type=FiniteRange(0.001), metavar="F", help="Take at most F frames a second."),
    click.option("--max-age", type=DURATION, metavar="TIME", help="Drop frames that waited for longer, as 500ms."),
    click.option(
        "--read-timeout",
        type=DURATION,
        default="4s",
        show_default=True,
        metavar="TIME",
        help="Without data for so long, a live source hangs and is opened again.",
    ),
    click.option(
        "--rtsp-transport", type=click.Choice(["tcp", "udp"]), default="tcp", show_default=True, help="For RTSP."
    ),
    click.option(
        "--decode-video",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="What decodes video: the CPU, or the GPU, from whose decoder pictures go straight to the network.",
    ),
)


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets `reading`, a `ReadingOptions`."""
    return grouped("reading", ReadingOptions, *_OPTIONS)(command)
