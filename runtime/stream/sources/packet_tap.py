"""Who takes a source's encoded packets beside their pictures."""

from abc import ABC, abstractmethod
from typing import Any


class PacketTap(ABC):
    """Is told of every packet before its pictures are given; from the source's thread."""

    @abstractmethod
    def begin(self, stream: Any) -> None:
        """A PyAV stream begins: of a file once, of a camera with each connection."""

    @abstractmethod
    def packet(self, packet: Any) -> None:
        """The stream gave this PyAV packet, which holds data."""

    @abstractmethod
    def align(self, seconds: float) -> None:
        """So much later than the packets' own times are those of their frames (`Frame.pts`)."""
