"""The interface of every source."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from segrt.runtime.stream.frame import Frame


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


class Source(ABC):
    """Gives frames, once. Opening is construction: it raises VideoError or ImageError for what cannot be read."""

    info: SourceInfo

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Yield every frame in order; called once, from a thread of its own.

        Raises VideoError or ImageError when something is wrong with the source, after the frames that were right.
        """

    def close(self) -> None:
        """Free what the source holds; called when nobody reads `frames` any more. Closing twice does nothing."""
        return
