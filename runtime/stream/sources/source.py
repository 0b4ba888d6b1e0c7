"""The interface of every source."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from segrt.runtime.files.uri import scheme_of
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.needs import Needs
from segrt.runtime.stream.sources.packet_tap import PacketTap
from segrt.runtime.stream.uri_options import Reader

if TYPE_CHECKING:
    from segrt.runtime.preprocess.input_spec import InputSpec
    from segrt.runtime.stream.sources.cpu_decoder import WantedDecoder


@dataclass(frozen=True)
class SourceInfo:
    """What is known of a source before its first frame.

    `source_id` is unique in a run and free of credentials; `rate` is the nominal frames per second and `frames` their
    number, None where the source does not say; a `live` source cannot wait, so frames that are not taken are lost.
    """

    source_id: str
    rate: Fraction | None = None
    frames: int | None = None
    live: bool = False


class Listener:
    """Is told what happens to sources; this base ignores it. States: connecting, live, frozen, black, lost."""

    def entered_state(self, source_id: str, state: str) -> None:
        """A live source is now in `state`; also a sign of life of one that is trying to connect."""

    def reconnected(self, source_id: str) -> None:
        """A live source gives frames again."""


class Source(ABC):
    """Gives frames, once. Opening is construction: it raises VideoError or ImageError for what cannot be read.

    A live source connects in `frames` instead, and goes on trying. `listener` is set before `frames` is called. A kind
    that is registered in `source_kinds.SOURCES` is constructed with its URI, its id and `LiveOptions`; its class also
    says what help, checks of outputs, doctor and deployments ask of it.
    """

    forms: ClassVar[Mapping[str, str]] = {}
    """Schemes that are worth naming → an example for the help, "" where another scheme's serves.

    Empty for SCHEME://..., as it is registered.
    """
    options: ClassVar[Mapping[str, Reader]] = {}
    """What the query of its URI may say, each with the function that reads it."""
    needs: ClassVar[Needs | None] = None
    """Packages beyond segrt's own, if there are any."""

    info: SourceInfo
    refusal: str | None = None
    """Why a live source has ended although nobody stopped it, if it has: its camera lets nobody in."""
    listener: Listener = Listener()
    tap: PacketTap | None = None
    """Who takes its packets, set before `frames` is called; told nothing by a source that has none."""

    wanted_decoder: "WantedDecoder" = "cpu"
    """What decodes its video, set before `frames` is called; "auto" leaves it to the source."""

    @classmethod
    def files(cls, spec: str) -> tuple[Path, ...]:
        """Return the files and folders that the source `spec` reads, by default the path itself; a URI names none.

        Asked to refuse outputs that would overwrite them.
        """
        return () if scheme_of(spec) else (Path(spec),)

    @classmethod
    def why_not_on_gpu(cls) -> str | None:
        """Return why its pictures cannot come from the GPU's video decoder here, or None where they can."""
        return "its pictures are no video that the GPU decodes"

    def give(self, spec: "InputSpec") -> None:
        """Be told which input the frames are for; called before `frames`.

        Raises ImageError where it takes something else than ordinary pictures, which is what sources give.
        """
        from segrt.runtime.preprocess.channels import refuse_pictures  # with numpy and OpenCV

        refuse_pictures(spec, self.info.source_id)

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Yield every frame in order; called once, from a thread of its own.

        Raises VideoError or ImageError when something is wrong with the source, after the frames that were right.
        """

    def stop(self) -> None:  # noqa: B027 (a source that never waits for long needs none)
        """Wake up `frames` where it waits for a camera, and let it end; called from another thread, at any time."""

    def close(self) -> None:
        """Free what the source holds; called when nobody reads `frames` any more. Closing twice does nothing."""
        return
