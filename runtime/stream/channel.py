"""The bounded queue between two stages, and with it the one rule by which a pipeline ends.

Whoever leaves a channel tells the other side: a producer that has finished calls `close`, and the consumer sees the
items that are left and then the end; a consumer that leaves calls `abort`, and the producer's next (or waiting) `put`
raises `Stopped`. A stage that ends, for whatever reason, aborts the channel it reads and closes those it fills. So an
end travels downstream behind the last item, a failure travels upstream at once, and nobody waits for somebody gone.
"""

from collections import deque
from collections.abc import Callable
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Stopped(Exception):  # noqa: N818 (not an error: the consumer has left)
    """Nobody takes items from this channel any more."""


class Ended(Exception):  # noqa: N818 (not an error: the producer has finished)
    """All producers have closed the channel and it is empty."""


class Channel(Generic[T]):
    """A bounded first-in-first-out queue with a lane for each producer, read in turn.

    `capacity` holds for each lane. With `newest_only` a full lane gives up its oldest item instead of blocking `put`;
    `displaced` is then called with it.
    """

    def __init__(
        self,
        capacity: int,
        *,
        lanes: int = 1,
        newest_only: bool = False,
        displaced: Callable[[T], None] | None = None,
    ) -> None:
        if capacity < 1 or lanes < 1:
            raise ValueError(f"capacity and lanes must be at least 1, but got {capacity} and {lanes}")
        self._capacity = capacity
        self._newest_only = newest_only
        self._displaced = displaced
        self._lanes: list[deque[T]] = [deque() for _ in range(lanes)]
        self._open = [True] * lanes
        self._aborted = False
        self._reserved = 0
        self._turn = 0
        self._changed = Condition()

    def put(self, item: T, lane: int = 0) -> T | None:
        """Append `item`; block while the lane is full. Returns the item that `newest_only` displaced, or None.

        Raises Stopped when the consumer has left or the lane has been closed.
        """
        with self._changed:
            queue = self._lanes[lane]
            displaced = None
            if self._newest_only:
                if len(queue) >= self._capacity:
                    displaced = queue.popleft()
            else:
                self._wait(lambda: len(queue) < self._capacity or not self._open[lane])
            if self._aborted or not self._open[lane]:
                raise Stopped
            queue.append(item)
            self._changed.notify_all()
        if displaced is not None and self._displaced is not None:
            self._displaced(displaced)
        return displaced

    def get(self) -> T:
        """Remove and return the next item, taking the lanes in turn; block while there is none.

        Raises Ended when there will be none, Stopped after `abort`.
        """
        with self._changed:
            self._wait(lambda: any(self._lanes) or not any(self._open))
            return self._take()

    def get_within(self, seconds: float) -> T | None:
        """Return the next item as `get` does, or None when none comes within `seconds` or at all.

        Raises Stopped after `abort`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._aborted or any(self._lanes) or not any(self._open), max(0.0, seconds))
            return self._take() if self._aborted or any(self._lanes) else None

    def _take(self) -> T:
        if self._aborted:
            raise Stopped
        for step in range(len(self._lanes)):
            lane = (self._turn + step) % len(self._lanes)
            if self._lanes[lane]:
                self._turn = lane + 1
                self._reserved = max(0, self._reserved - 1)
                self._changed.notify_all()
                return self._lanes[lane].popleft()
        raise Ended

    def reserve(self, count: int = 1) -> None:
        """Block until `count` items more will find room in lane 0, counting earlier reservations; `get` redeems one.

        A producer that reserves before it takes something scarce never holds it while it waits for the consumer.
        Raises Stopped when the consumer has left.
        """
        with self._changed:
            self._wait(lambda: self._reserved + count <= self._capacity)
            if self._aborted:
                raise Stopped
            self._reserved += count

    def unreserve(self, count: int) -> None:
        """Give back what was reserved and is not needed."""
        with self._changed:
            self._reserved = max(0, self._reserved - count)
            self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Sleep for `seconds`, but wake up and raise Stopped as soon as the consumer leaves or all lanes close."""
        with self._changed:
            self._changed.wait_for(lambda: self._aborted or not any(self._open), max(0.0, seconds))
            if self._aborted or not any(self._open):
                raise Stopped

    def linger(self, seconds: float) -> None:
        """Sleep for `seconds`, as a consumer that wants its next item no sooner; raise Stopped after `abort`."""
        with self._changed:
            self._changed.wait_for(lambda: self._aborted, max(0.0, seconds))
            if self._aborted:
                raise Stopped

    def close(self, lane: int | None = None) -> None:
        """Say that no more items come on `lane` (None: on any); those that are in it are still delivered."""
        with self._changed:
            for index in range(len(self._open)) if lane is None else (lane,):
                self._open[index] = False
            self._changed.notify_all()

    def abort(self) -> list[T]:
        """Say that no more items are taken; return those that were left. Aborting twice does nothing."""
        with self._changed:
            self._aborted = True
            left = [item for queue in self._lanes for item in queue]
            for queue in self._lanes:
                queue.clear()
            self._changed.notify_all()
            return left

    def _wait(self, ready: Callable[[], bool]) -> None:
        while not (self._aborted or ready()):
            self._changed.wait()
