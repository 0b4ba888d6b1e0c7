"""The interface of what encoded pictures go into."""

from abc import ABC, abstractmethod

from segrt.runtime.outputs.encoders.encoded import Encoded


class Outlet(ABC):
    """Takes the encoded pictures of one source, from one thread."""

    def is_wanted(self) -> bool:
        """Say whether anybody takes pictures now; while nobody does none are encoded."""
        return True

    def wants_key(self) -> bool:
        """Say, once, whether the next picture has to be a key picture."""
        return False

    @abstractmethod
    def send(self, encoded: Encoded, stream: int) -> None:
        """Take one encoded picture of stream number `stream`, whose sizes are alike; raise VideoError when it fails."""

    @abstractmethod
    def restart(self) -> None:
        """After a failure: let go of what failed, so that the next key picture begins anew."""

    @abstractmethod
    def close(self) -> None:
        """Finish."""
