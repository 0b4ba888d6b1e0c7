"""The connection to an MQTT broker that the sink of results and the output of events have."""

import logging
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from segrt.runtime.errors import VideoError
from segrt.runtime.files.uri import redact
from segrt.runtime.stream.backoff import LONGEST_SECONDS
from segrt.runtime.stream.stage_thread import NO_THREAD

if TYPE_CHECKING:
    from segrt.runtime.stream.recorder import Recorder

log = logging.getLogger("segrt.stream")
_GOODBYE_SECONDS = 1.0


class BrokerLink:
    """Publishes to the broker of `mqtt://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC`, with TLS as `mqtts://…?ca=FILE`; QoS 1.

    `topic` is TOPIC with `below` behind it. `topic/status` says "online" or "offline", retained; the broker itself says
    "offline" when we die. The password may come from SEGRT_MQTT_PASSWORD instead. While the broker is away the newest
    messages are refused once `most` wait; the connection is made again after a pause of 1 to 10 s. `what` names the
    address in errors.
    """

    def __init__(self, uri: str, *, most: int, what: str = "sink", below: str = "") -> None:
        try:
            from paho.mqtt import client as mqtt
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError:
            raise VideoError(f"{what} {redact(uri)}: needs the MQTT client; pip install 'segrt[mqtt]'") from None
        try:
            parts = urlsplit(uri)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        topic = unquote(parts.path.strip("/")) if host else ""
        if host and "@" in parts.path:  # a "/" in the password would have made the user the host
            raise VideoError(f"{what} {redact(uri)}: write '/' in user and password as %2F, '@' in the topic as %40")
        if not host or not topic or "#" in uri or set(topic) & set("+#\0"):
            raise VideoError(f"{what} {redact(uri)}: must be mqtt://HOST[:PORT]/TOPIC, without + and # in the topic")
        self.topic = topic + below
        secure = parts.scheme.lower() == "mqtts"
        self._secure = secure
        self.broker = f"{host}:{port or (8883 if secure else 1883)}"
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.max_queued_messages_set(most)
        client.reconnect_delay_set(1, round(LONGEST_SECONDS))
        client.will_set(f"{self.topic}/status", "offline", qos=1, retain=True)
        password = os.environ.get("SEGRT_MQTT_PASSWORD")
        if parts.username:
            client.username_pw_set(unquote(parts.username), unquote(parts.password) if parts.password else password)
        if secure:
            ca = dict(pair.partition("=")[::2] for pair in parts.query.split("&") if pair).get("ca")
            try:
                client.tls_set(ca_certs=unquote(ca) if ca else None)
            except OSError as error:
                raise VideoError(f"{what} {redact(uri)}: {ca}: cannot be read as certificates ({error})") from None
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_connect_fail = self._on_failure
        self.client: Any = client
        self._address = (host, port or (8883 if secure else 1883))
        self._full = mqtt.MQTT_ERR_QUEUE_SIZE
        self._recorder: Recorder | None = None
        self._label = self._name = what
        self._trouble: str | None = None
        self._begun = False
        self._lock = threading.Lock()

    def watch(self, recorder: "Recorder", label: str, name: str) -> None:
        """Take what it is called in messages, and where and under which name outages are counted."""
        self._recorder, self._label, self._name = recorder, label, name

    def open(self) -> None:
        """Begin to connect; messages are taken at once."""
        self.client.connect_async(*self._address, keepalive=15)
        try:
            self.client.loop_start()
        except RuntimeError:
            raise VideoError(f"{NO_THREAD}; {self._label} has none for its connection") from None
        self._begun = True

    def publish(self, topic: str, payload: bytes) -> bool:
        """Hand a message to the client, which delivers it at least once; return False where too many wait."""
        return bool(self.client.publish(topic, payload, qos=1).rc != self._full)

    def close(self) -> None:
        """Publish "offline" behind what waits and disconnect, within a second. Closing twice does nothing."""
        if not self._begun:
            return
        self._begun = False
        if self.client.is_connected():
            goodbye = self.client.publish(f"{self.topic}/status", "offline", qos=1, retain=True)
            with suppress(RuntimeError, ValueError):  # the broker has gone meanwhile
                goodbye.wait_for_publish(_GOODBYE_SECONDS)
        self.client.on_disconnect = None
        self.client.disconnect()
        self.client.loop_stop()

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._report(f"refuses the connection ({reason})")
            return
        self._report(None)
        client.publish(f"{self.topic}/status", "online", qos=1, retain=True)

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
            log.warning("%s: broker %s %s; trying again", self._label, self.broker, trouble)
            if self._recorder is not None:
                self._recorder.sink(self._name, failures=1)
        elif trouble is None and before is not None:
            log.warning("%s: broker %s is there again", self._label, self.broker)
