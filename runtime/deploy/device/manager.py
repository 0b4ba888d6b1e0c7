"""The interface of service managers, which start, stop and watch one service."""

import re
from typing import Protocol

from segrt.runtime.deploy.device.kept_records import Health

_RESULTS = re.compile(r"(\d+) results?")


class Manager(Protocol):
    """A service manager, for one service."""

    def install(self, unit: str | None) -> None:
        """Make the service known and let it start at boot; `unit` is the text of a systemd unit."""

    def restart(self) -> None:
        """Start the service anew; returns at once."""

    def stop(self) -> None:
        """Stop the service."""

    def health(self) -> Health:
        """Return how the service is."""

    def last_words(self) -> str:
        """Return the last lines that the service wrote, on one line."""


def results_in(text: str) -> int | None:
    """Return the number of results that a stream's status text states."""
    match = _RESULTS.match(text)
    return int(match.group(1)) if match else None
