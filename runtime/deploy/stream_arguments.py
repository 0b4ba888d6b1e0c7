"""What the arguments of `segrt stream` say that a deployment must know: its sinks' needs, and passwords among them."""

import shlex
from collections.abc import Iterator, Sequence

from segrt.runtime.errors import SegrtError
from segrt.runtime.files.uri import redact, scheme_of

_EXTRAS = {"http": "web", "mqtt": "mqtt", "mqtts": "mqtt"}


def split_words(text: str) -> tuple[str, ...]:
    """Return the words of `--stream`, split as a shell does; raise SegrtError for a quote that is not closed."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise SegrtError(
            f"--stream: {text!r} cannot be split into words ({str(error).lower()}); close every quote"
        ) from None


def extras_of_stream(words: Sequence[str]) -> set[str]:
    """Return the extras of segrt that the sinks among a stream's arguments need."""
    return {extra for sink in _sinks(words) for extra in _extras_of_sink(sink)}


def _extras_of_sink(sink: str) -> set[str]:
    extra = _EXTRAS.get(scheme_of(sink) or "")
    return {extra} if extra else set()


def _sinks(words: Sequence[str]) -> Iterator[str]:
    for before, word in zip(["", *words], words, strict=False):
        if before == "--sink":
            yield word
        elif word.startswith("--sink="):
            yield word.removeprefix("--sink=")


def refuse_secrets(words: Sequence[str]) -> None:
    """Raise SegrtError for a password in the arguments of a stream, which files on desk and device would show."""
    for word, before in zip(words, ["", *words], strict=False):
        _, equals, value = word.partition("=")
        given = value if word.startswith("--") and equals else word
        if redact(given) != given:
            raise SegrtError(
                f"{redact(given)}: holds a user or password, which does not belong into arguments; write ${{NAME}} in "
                "its place, and NAME=... into the service's environment file on the device"
            )
        if before == "--token" or word.startswith("--token="):
            raise SegrtError("--token: does not belong into arguments; write SEGRT_TOKEN=... into the environment file")
