"""Results as MQTT messages: what `describe` says of each frame, as JSON."""

import logging
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlsplit

import msgspec

from segrt.runtime.errors import VideoError
from segrt.runtime.files.images import Picture
from segrt.runtime.files.uri import redact
from segrt.runtime.outputs.output_files import names_of_sources
from segrt.runtime.outputs.result_lines import line_of
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.results import Result
from segrt.runtime.stream.backoff import LONGEST_SECONDS
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.needs import Needs
from segrt.runtime.stream.sinks.sink import Dropped, Sink
from segrt.runtime.stream.sources.source import SourceInfo
from segrt.runtime.stream.stage_thread import NO_THREAD

if TYPE_CHECKING:
    from segrt.runtime.stream.recorder import Recorder

log = logging.getLogger("segrt.stream")
_QUEUED = 100  # messages that wait for the broker; what comes while so many wait is dropped
_GOODBYE_SECONDS = 1.0


class MqttSink(Sink):
    """Publishes to `mqtt://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC`, with TLS as `mqtts://…?ca=FILE`; QoS 1.

    Each frame is one message on TOPIC (TOPIC/NAME with several sources): the line that the JSON-lines sink writes.
    `TOPIC/status` says "online" or "offline", retained; the broker itself says "offline" when we die. The password may
    come from SEGRT_MQTT_PASSWORD instead. While the broker is away the newest results are dropped, and counted, once
    100 wait; the connection is made again after a pause of 1 to 10 s.
    """

    forms: ClassVar = {"mqtt://HOST/TOPIC": ""}
    needs = Needs("MQTT sinks", ("paho-mqtt",), "mqtt")
    name = "mqtt"
    serves = True

    def __init__(self, uri: str, options: SinkOptions | None = None) -> None:
        try:
            from paho.mqtt import client as mqtt
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError:
            raise VideoError(f"sink {redact(uri)}: needs the MQTT client; pip install 'segrt[mqtt]'") from None
        try:
            parts = urlsplit(uri)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        self._topic = unquote(parts.path.strip("/")) if host else ""
        if host and "@" in parts.path:  # a "/" in the password would have made the user the host
            raise VideoError(f"sink {redact(uri)}: write '/' in user and password as %2F, '@' in the topic as %40")
        if not host or not self._topic or "#" in uri or set(self._topic) & set("+#\0"):
            raise VideoError(f"sink {redact(uri)}: must be mqtt://HOST[:PORT]/TOPIC, without + and # in the topic")
        secure = parts.scheme.lower() == "mqtts"
        self._secure = secure
        self._broker = f"{host}:{port or (8883 if secure else 1883)}"
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.max_queued_messages_set(_QUEUED)
        client.reconnect_delay_set(1, round(LONGEST_SECONDS))
        client.will_set(f"{self._topic}/status", "offline", qos=1, retain=True)
        password = os.environ.get("SEGRT_MQTT_PASSWORD")
        if parts.username:
            client.username_pw_set(unquote(parts.username), unquote(parts.password) if parts.password else password)
        if secure:
            ca = dict(pair.partition("=")[::2] for pair in parts.query.split("&") if pair).get("ca")
            try:
                client.tls_set(ca_certs=unquote(ca) if ca else None)
            except OSError as error:
                raise VideoError(f"sink {redact(uri)}: {ca}: cannot be read as certificates ({error})") from None
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_connect_fail = self._on_failure
        self._client: Any = client
        self._address = (host, port or (8883 if secure else 1883))
        self._masks = bool(options and options.rle)
        self._full = mqtt.MQTT_ERR_QUEUE_SIZE
        self._topics: dict[str, str] = {}
        self._recorder: Recorder | None = None
        self._label = self.name
        self._trouble: str | None = None
        self._begun = False
        self._lock = threading.Lock()

    def watch(self, recorder: "Recorder", name: str) -> None:
        """Take where drops are counted."""
        self._recorder, self._label = recorder, name

    def open(self, sources: Sequence[SourceInfo]) -> None:
        """Begin to connect; results are taken at once."""
        for source_id, name in names_of_sources([source.source_id for source in sources]).items():
            self._topics[source_id] = f"{self._topic}/{name}" if name else self._topic
        self._client.connect_async(*self._address, keepalive=15)
        try:
            self._client.loop_start()
        except RuntimeError:
            raise VideoError(f"{NO_THREAD}; the sink has none for its connection") from None
        self._begun = True

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:  # noqa: ARG002
        """Hand the message to the client, which delivers it at least once, or drops it when too many wait."""
        payload = msgspec.json.encode(line_of(frame, result, masks=self._masks))
        sent = self._client.publish(self._topics[frame.source_id], payload, qos=1)
        if sent.rc == self._full:
            raise Dropped(f"{self._broker}: {_QUEUED} messages wait for the broker")

    def close(self) -> None:
        """Publish "offline" and disconnect, within a second."""
        if not self._begun:
            return
        if self._client.is_connected():
            goodbye = self._client.publish(f"{self._topic}/status", "offline", qos=1, retain=True)
            with suppress(RuntimeError, ValueError):  # the broker has gone meanwhile
                goodbye.wait_for_publish(_GOODBYE_SECONDS)
        self._client.on_disconnect = None
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._report(f"refuses the connection ({reason})")
            return
        self._report(None)
        client.publish(f"{self._topic}/status", "online", qos=1, retain=True)

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._report(f"the connection is lost ({reason})")

    def _on_failure(self, _client: Any, _data: Any) -> None:
        self._report(
            "cannot be reached, or shows a certificate that is not trusted" if self._secure else "cannot be reached"
        )

    def _report(self, trouble: str | None) -> None:
        """Report a change of state, once."""
        with self._lock:
            before, self._trouble = self._trouble, trouble
        if trouble is not None and before is None:
            log.warning("sink %s: broker %s %s; trying again", self._label, self._broker, trouble)
            if self._recorder is not None:
                self._recorder.sink(self._label, failures=1)
        elif trouble is None and before is not None:
            log.warning("sink %s: broker %s is there again", self._label, self._broker)
