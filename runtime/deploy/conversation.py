"""Listening to a device that may say anything: lines of JSON within bounds of length, number and time."""

import os
import selectors
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from segrt.runtime.deploy.device.json_conversion import load_json

MOST_LINE = 1 << 20
MOST_BYTES = 8 << 20
MOST_MESSAGES = 1000
_CHUNK = 1 << 16
_LONGEST_STEP = 200
_LOOK_EVERY = 0.5
_END_SECONDS = 20.0


class Unbearable(Exception):  # noqa: N818 (what a device is)
    """The device says too much, for too long, or nothing at all; the text says which."""


@dataclass(frozen=True)
class Patience:
    """How long a device may be silent, and take altogether, in seconds."""

    silence: float
    total: float


@dataclass
class Heard:
    """What a device said: its last answer, whether it said anything of ours, and when something moved last."""

    answer: dict[str, Any] | None = None
    anything: bool = False
    moved: float = 0.0

    def note_progress(self) -> None:
        """Note that something moved: a byte came, or one was sent."""
        self.moved = time.monotonic()


def listen(
    process: "subprocess.Popen[bytes]", patience: Patience, heard: Heard, on_step: Callable[[str], None] | None
) -> None:
    """Hear the device until its side ends, filling `heard`; raise Unbearable beyond the bounds."""
    assert process.stdout is not None
    deadline = time.monotonic() + patience.total
    heard.note_progress()
    lines, count = _Lines(), 0
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            now = time.monotonic()
            if now > deadline:
                raise Unbearable(f"took more than {patience.total / 60:.0f} minutes")
            if now - heard.moved > patience.silence:
                raise Unbearable(f"said nothing for {patience.silence:.0f} s")
            if not selector.select(_LOOK_EVERY):
                continue
            chunk = os.read(process.stdout.fileno(), _CHUNK)
            heard.note_progress()
            for line in lines.take(chunk):
                message = _message(line)
                if message is None:
                    continue  # a greeting of the login shell
                count += 1
                if count > MOST_MESSAGES:
                    raise Unbearable(f"sent more than {MOST_MESSAGES} messages")
                heard.anything = True
                if "result" in message:
                    heard.answer = message
                elif on_step is not None and "step" in message:
                    on_step(str(message["step"])[:_LONGEST_STEP])
            if not chunk:
                break
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)


class _Lines:
    """Cuts what comes into lines."""

    def __init__(self) -> None:
        self._begun = bytearray()
        self._total = 0

    def take(self, chunk: bytes) -> list[bytes]:
        """Return the lines that end in `chunk`, or, of nothing, the last one, which lacks its end."""
        self._total += len(chunk)
        if self._total > MOST_BYTES:
            raise Unbearable(f"sent more than {MOST_BYTES >> 20} MiB")
        *ends, begun = chunk.split(b"\n") if chunk else (b"", b"")
        lines = []
        for end in ends:
            lines.append(bytes(self._begun + end))
            self._begun.clear()
        self._begun += begun
        if max(map(len, (*lines, self._begun))) > MOST_LINE:
            raise Unbearable(f"sent a line of more than {MOST_LINE >> 20} MiB")
        return lines


def _message(line: bytes) -> dict[str, Any] | None:
    if not line.startswith(b"{"):
        return None
    try:
        message = load_json(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
