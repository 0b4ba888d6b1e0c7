"""How long to wait before the next attempt at something that failed."""

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 10.0


class Backoff:
    """Doubles the wait from failure to failure, `first` to `longest` seconds, until `reset`."""

    def __init__(self, first: float = FIRST_SECONDS, longest: float = LONGEST_SECONDS) -> None:
        self._first, self._longest = first, longest
        self.failures = 0

    def next(self) -> float:
        """Count a failure and return the seconds to wait."""
        seconds = min(self._longest, self._first * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return seconds

    def reset(self) -> None:
        """Begin anew after a success."""
        self.failures = 0

    @property
    def should_log(self) -> bool:
        """Whether the last failure should be said: the first few, then one in sixty (every ten minutes)."""
        return not self.lasts or self.failures % 60 == 0

    @property
    def lasts(self) -> bool:
        """Whether the first few attempts have failed."""
        return self.failures > 4
