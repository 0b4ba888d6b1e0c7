"""How many connections the live page may have, how fast they may come, and which one leaves when there are too many.

The recording beside the page needs descriptors and processor time; whoever can reach the page must not take them.
"""

import resource
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

MOST_CONNECTIONS = 128
MOST_PER_SECOND = 200
_FEWEST_CONNECTIONS = 4
_LARGEST_RESERVE = 256


@dataclass(frozen=True)
class Budget:
    """`connections` at once, none with a descriptor of `highest` or more: those are left to sources and sinks."""

    connections: int
    highest: int


def budget(used: int) -> Budget | None:
    """Return the budget of a process with `used` as its newest descriptor; None when there is no room for a page."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        limit = 1 << 20
    highest = limit - min(_LARGEST_RESERVE, limit // 4)
    room = min(MOST_CONNECTIONS, (highest - used) // 2)
    return Budget(room, highest) if room >= _FEWEST_CONNECTIONS else None


class Pace:
    """Lets `burst` things happen at once, and after that `per_second`."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._left, self._at = float(burst), clock()

    def delay(self) -> float:
        """Count one more, and return the seconds that it has to wait."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second) - 1
        self._at = now
        return max(0.0, -self._left / self._per_second)


class Occupant(Protocol):
    """What is asked of a connection."""

    @property
    def peer(self) -> str: ...  # noqa: D102
    @property
    def answering(self) -> bool: ...  # noqa: D102
    @property
    def admitted(self) -> bool: ...  # noqa: D102
    @property
    def stuck(self) -> bool: ...  # noqa: D102

    since: float


AnyOccupant = TypeVar("AnyOccupant", bound=Occupant)


def least_missed(occupants: Iterable[AnyOccupant]) -> AnyOccupant | None:
    """Return the connection that makes room for another: None when each is being answered and reads its answer.

    First come those that wait and have shown no token, then others that wait, then answers to whoever has no token,
    then answers that are not read. Among these it is the oldest one of the address that has most.
    """
    ranked: dict[int, list[AnyOccupant]] = {}
    for occupant in occupants:
        if not occupant.answering:
            rank = 1 if occupant.admitted else 0
        elif not occupant.admitted:
            rank = 2
        elif occupant.stuck:
            rank = 3
        else:
            continue
        ranked.setdefault(rank, []).append(occupant)
    if not ranked:
        return None
    candidates = ranked[min(ranked)]
    held = Counter(occupant.peer for occupant in candidates)
    return min(candidates, key=lambda occupant: (-held[occupant.peer], occupant.since))
