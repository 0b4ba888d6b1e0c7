"""What ends a deployment on the device: one line, and what may be shown below it."""

_LONGEST = 100_000


class Failure(Exception):  # noqa: N818 (an outcome, told to the desk, not a fault of the program)
    """A step failed: `str()` is one line with the reason and the remedy, `details` the end of what stands behind it."""

    def __init__(self, line: str, details: str = "") -> None:
        super().__init__(" ".join(line.split()))
        self.details = details[-_LONGEST:]
