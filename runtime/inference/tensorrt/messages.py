"""Keeps what TensorRT says: it reports through a logger, and its functions return only None."""

import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_KEPT = 64
_LONGEST = 400


class Messages:
    """The errors and warnings of one flavour's logger; TensorRT's own threads write, any thread reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._errors: deque[str] = deque(maxlen=_KEPT)
        self._warnings: deque[str] = deque(maxlen=_KEPT)

    def add(self, text: str, *, error: bool) -> None:
        """Note one message."""
        with self._lock:
            (self._errors if error else self._warnings).append(one_line(text))

    @property
    def errors(self) -> list[str]:
        """The last errors since the last `clear`, oldest first."""
        with self._lock:
            return list(self._errors)

    @property
    def warnings(self) -> list[str]:
        """The last warnings since the last `clear`, oldest first."""
        with self._lock:
            return list(self._warnings)

    def clear(self) -> None:
        """Forget all messages."""
        with self._lock:
            self._errors.clear()
            self._warnings.clear()

    @contextmanager
    def fresh(self) -> "Iterator[Messages]":
        """Clear, and give the messages that come in the block."""
        self.clear()
        yield self

    def reason(self, otherwise: str) -> str:
        """Return the first error, which names the cause; later ones follow from it."""
        errors = self.errors
        return errors[0] if errors else otherwise


def one_line(text: str) -> str:
    """Return `text` in one line of bearable length."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def plain(text: str) -> str:
    """Return an error of TensorRT in one line, without the places in NVIDIA's source that it names."""
    line = one_line(text)
    line = re.sub(r"^\[\w+\.cpp::\w+::\d+\] ", "", line)
    line = re.sub(r"^I[A-Z]\w+::\w+: ", "", line)
    line = re.sub(r"^Error Code \d+: ", "", line)
    line = re.sub(r"[.:]? ?In \w+ at /_src/[\w/.]+:\d+", "", line)
    line = line.removeprefix("Assertion failed: ")
    return re.sub(r'^[^"]* && "(.+)"$', r"\1", line)  # the parser asserts conditions with a sentence at their end


def make_logger(api: Any, messages: Messages) -> Any:
    """Return an `ILogger` of the module `api` that writes into `messages`."""

    class Logger(api.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            api.ILogger.__init__(self)

        def log(self, severity: Any, text: str) -> None:
            if severity in (api.ILogger.Severity.INTERNAL_ERROR, api.ILogger.Severity.ERROR):
                messages.add(text, error=True)
            elif severity == api.ILogger.Severity.WARNING:
                messages.add(text, error=False)

    return Logger()
