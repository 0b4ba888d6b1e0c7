"""Events as HTTP requests: each a POST of one JSON object, tried until it is taken."""

import http.client
import logging
import os
import secrets
import ssl
import threading
import time
from base64 import b64encode
from collections import deque
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote, urlsplit

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact, redact_error
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.stream.backoff import Backoff
from segrt.runtime.stream.events.event_output import EventOutput
from segrt.runtime.stream.stage_thread import start

if TYPE_CHECKING:
    from segrt.runtime.stream.recorder import Recorder

log = logging.getLogger("segrt.stream")
QUEUED = 1000
"""Events that wait for the receiver; each one more displaces the oldest."""
_TIMEOUT_SECONDS = 5.0
_GOODBYE_SECONDS = 1.0
_AGAIN = frozenset((408, 425, 429, *range(500, 600)))


class Webhook(EventOutput):
    """POSTs to `http[s]://[USER:PASSWORD@]HOST[:PORT]/PATH`, in a thread of its own.

    User and password go as HTTP's basic authorization; SEGRT_WEBHOOK_TOKEN, without them, as a bearer token. An event
    that is not taken (no connection, no answer within 5 s, status 408, 425, 429 or 5xx) is sent again after a pause of
    0.5 to 10 s, and the ones behind it wait, 1000 at most. Any other refusal, and a redirection, drops the event.
    `Idempotency-Key` is the same for all attempts at one event.
    """

    forms: ClassVar = {"http[s]://HOST/PATH": "a webhook"}
    name = "webhook"

    def __init__(self, uri: str, options: SinkOptions | None = None) -> None:  # noqa: ARG002
        try:
            parts = urlsplit(uri)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if not host or "@" in parts.path or parts.fragment:
            raise VideoError(
                f"--events {redact(uri)}: must be http[s]://HOST[:PORT]/PATH; write '/', '?' and '#' in user and "
                "password as %2F, %3F and %23"
            )
        self._uri, self._host, self._port = uri, host, port
        self._secure = parts.scheme.lower() == "https"
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not self._target.isascii() or not self._target.isprintable() or " " in self._target:
            raise VideoError(f"--events {redact(uri)}: write what is no plain letter in its path with %, as %20")
        self._headers = {"Content-Type": "application/json", "User-Agent": "segrt"}
        token = os.environ.get("SEGRT_WEBHOOK_TOKEN")
        if parts.username:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {b64encode(user.encode()).decode()}"
        elif token:
            if not token.isascii() or not token.isprintable():
                raise VideoError("SEGRT_WEBHOOK_TOKEN: must be plain letters, digits and signs")
            self._headers["Authorization"] = f"Bearer {token}"
        self._run = secrets.token_hex(8)
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._changed = threading.Condition()
        self._count = 0
        self._closing = False
        self._recorder: Recorder | None = None
        self._label = self.name
        self._thread: threading.Thread | None = None

    def begin(self, recorder: "Recorder", name: str, *, live: bool) -> None:  # noqa: ARG002
        """Start the thread."""
        self._recorder, self._label = recorder, name
        thread = threading.Thread(target=self._deliver, name="segrt webhook", daemon=True)
        start(thread)
        self._thread = thread

    def put(self, line: bytes, pts: float | None) -> None:  # noqa: ARG002
        """Queue the event; displace the oldest one that waits where too many do."""
        displaced = False
        with self._changed:
            if len(self._waiting) >= QUEUED:
                self._waiting.popleft()
                displaced = True
            self._waiting.append((self._count, line))
            self._count += 1
            self._changed.notify()
        if displaced and self._recorder is not None:
            self._recorder.sink(self._label, dropped=1)

    def close(self) -> None:
        """Give the receiver a second to take what waits; what it does not take then is lost, and said."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        deadline = time.monotonic() + _GOODBYE_SECONDS
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, _GOODBYE_SECONDS)
            self._closing = True
            left = len(self._waiting)
            self._waiting.clear()
            self._changed.notify()
        if left:
            log.warning("%s: %d events could not be delivered before the end", self._label, left)
            if self._recorder is not None:
                self._recorder.sink(self._label, dropped=left)
        thread.join(max(0.0, deadline - time.monotonic()))

    def _deliver(self) -> None:
        backoff, failed = Backoff(), False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._waiting)
                if self._closing:
                    return
                number, line = self._waiting[0]
            problem, again = self._post(number, line)
            if problem is not None and again:
                seconds = backoff.next()
                if not failed or (backoff.lasts and backoff.should_log):
                    log.warning("%s: %s; trying again", self._label, problem)
                self._count_failure(new=not failed)
                failed = True
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, seconds)
                continue
            if problem is not None:
                log.warning("%s: %s; this event is lost", self._label, problem)
            elif failed:
                log.warning("%s: the receiver takes events again", self._label)
                failed = False
                backoff.reset()
            with self._changed:
                if self._waiting and self._waiting[0][0] == number:  # it may have been displaced meanwhile
                    self._waiting.popleft()
                self._changed.notify_all()
            if self._recorder is not None:
                self._recorder.sink(self._label, written=int(problem is None), dropped=int(problem is not None))

    def _count_failure(self, *, new: bool) -> None:
        if new and self._recorder is not None:
            self._recorder.sink(self._label, failures=1)

    def _post(self, number: int, line: bytes) -> tuple[str | None, bool]:
        """Send one event; return what was wrong, None if nothing was, and whether to try again."""
        headers = {**self._headers, "Idempotency-Key": f"{self._run}-{number}"}
        connection: http.client.HTTPConnection
        if self._secure:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=_TIMEOUT_SECONDS, context=context)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request("POST", self._target, body=line, headers=headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = redact_error(str(error) or type(error).__name__, self._uri)
            return f"{redact(self._uri)}: gives no answer ({reason})", True
        finally:
            connection.close()
        if 200 <= status < 300:
            return None, False
        if status in _AGAIN:
            return f"{redact(self._uri)}: answers {status}", True
        hint = "check user and password" if status in (401, 403) else "give the address that takes events"
        return f"{redact(self._uri)}: answers {status}; {hint}", False
