"""What a deployment takes from the arguments of `segrt stream`: the extras that they need; passwords are refused."""

import shlex
from collections.abc import Sequence

from segrt.runtime.errors import SegrtError
from segrt.runtime.files.uri import redact
from segrt.runtime.stream.sinks import sink_kinds
from segrt.runtime.stream.sources import source_kinds


def split_words(text: str) -> tuple[str, ...]:
    """Return the words of `--stream`, split as a shell does; raise SegrtError for a quote that is not closed."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise SegrtError(
            f"--stream: {text!r} cannot be split into words ({str(error).lower()}); close every quote"
        ) from None


def extras_of(sources: Sequence[str], sinks: Sequence[str]) -> set[str]:
    """Return the extras of segrt that a stream with these sources and sinks needs, as their kinds declare."""
    return source_kinds.extras_of(sources) | sink_kinds.extras_of(sinks)


def refuse_secrets(words: Sequence[str]) -> None:
    """Raise SegrtError for what may be a password in the arguments, which files on desk and device would show."""
    for word, before in zip(words, ["", *words], strict=False):
        _, equals, value = word.partition("=")
        given = value if word.startswith("--") and equals else word
        if redact(given) != given:
            raise SegrtError(
                f"{redact(given)}: holds a user or password, or an option that may be one, which does not belong into "
                "arguments; write ${NAME} in its place, and NAME=... into the service's environment file on the device"
            )
        if before == "--token" or word.startswith("--token="):
            raise SegrtError("--token: does not belong into arguments; write SEGRT_TOKEN=... into the environment file")
