"""Ids that are given once: to objects one after the other, to each class of stuff for ever."""


class LastingIds:
    """Counts from 1; a class of stuff keeps the id that it got when it was first seen."""

    def __init__(self) -> None:
        self._last = 0
        self._stuff: dict[str, int] = {}

    def next(self) -> int:
        """Return an id that nobody has had."""
        self._last += 1
        return self._last

    def of_stuff(self, name: str) -> int:
        """Return the id of the class of this name."""
        if name not in self._stuff:
            self._stuff[name] = self.next()
        return self._stuff[name]
