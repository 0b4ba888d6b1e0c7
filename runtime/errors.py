"""The errors that a user can mend.

Everything raised as a `SegrtError` ends a command with one line on standard error and the error's exit code, never
with a traceback. The line names the file or argument, the value met and the remedy.
"""


class SegrtError(Exception):
    """Wrong use or bad input: the message names the thing, the value met and the remedy. Exit code 2."""

    exit_code = 2


class BundleError(SegrtError):
    """A bundle that cannot be opened: missing, damaged, foreign or made by a newer segrt."""


class ImageError(SegrtError):
    """A picture that cannot be read or written."""


class VideoError(SegrtError):
    """A video or stream that cannot be read or written."""


class BackendError(SegrtError):
    """A network that cannot be executed on this device."""


class DeviceLostError(BackendError):
    """The GPU cannot be used by this process any more, or ran out of memory while running. Exit code 4."""

    exit_code = 4


class CheckFailed(SegrtError):  # noqa: N818 (the verdict of a check, not a fault)
    """A check that ran and failed (golden frames differ, a tolerance was exceeded). Exit code 1."""

    exit_code = 1


def one_line(error: BaseException, most: int = 300) -> str:
    """Return the text of another library's error in one line of at most `most` characters, to be quoted in ours."""
    return " ".join(str(error).split())[:most] or type(error).__name__
