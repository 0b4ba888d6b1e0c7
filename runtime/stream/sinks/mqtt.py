"""Results as MQTT messages: what `describe` says of each frame, as JSON."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from segrt.runtime.files.images import Picture
from segrt.runtime.files.json_files import encode_json
from segrt.runtime.outputs.output_files import names_of_sources
from segrt.runtime.outputs.result_lines import line_of
from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.results import Result
from segrt.runtime.stream.broker_link import BrokerLink
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.needs import Needs
from segrt.runtime.stream.sinks.sink import Dropped, Sink
from segrt.runtime.stream.sources.source import SourceInfo

if TYPE_CHECKING:
    from segrt.runtime.stream.recorder import Recorder

log = logging.getLogger("segrt.stream")
_TAKEN = ("status", "events")  # below TOPIC: whether segrt is there, and what zones tell
_QUEUED = 100  # messages that wait for the broker; what comes while so many wait is dropped


class MqttSink(Sink):
    """Publishes to `mqtt://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC`, with TLS as `mqtts://…?ca=FILE`; see `BrokerLink`.

    Each frame is one message on TOPIC (TOPIC/NAME with several sources): the line that the JSON-lines sink writes.
    While the broker is away the newest results are dropped, and counted, once 100 wait.
    """

    forms: ClassVar = {"mqtt://HOST/TOPIC": ""}
    needs = Needs("MQTT sinks", ("paho-mqtt",), "mqtt")
    name = "mqtt"
    serves = True

    def __init__(self, uri: str, options: SinkOptions | None = None) -> None:
        self._link = BrokerLink(uri, most=_QUEUED)
        self._masks = bool(options and options.rle)
        self._topics: dict[str, str] = {}

    @property
    def _client(self) -> Any:
        return self._link.client

    def watch(self, recorder: "Recorder", name: str) -> None:
        """Take where drops are counted."""
        self._link.watch(recorder, f"sink {name}", name)

    def open(self, sources: Sequence[SourceInfo]) -> None:
        """Begin to connect; results are taken at once."""
        for source_id, name in names_of_sources([source.source_id for source in sources]).items():
            topic = f"{self._link.topic}/{name}" if name else self._link.topic
            if name in _TAKEN:  # no source's name ends in an underscore
                log.warning("sink mqtt: %s says another thing, so results of %s go to %s_", topic, source_id, topic)
                topic += "_"
            self._topics[source_id] = topic
        self._link.open()

    def write(self, frame: Frame, result: Result, drawn: Picture | None) -> None:  # noqa: ARG002
        """Hand the message to the client, which delivers it at least once, or drops it when too many wait."""
        payload = encode_json(line_of(frame, result, masks=self._masks))
        if not self._link.publish(self._topics[frame.source_id], payload):
            raise Dropped(f"{self._link.broker}: {_QUEUED} messages wait for the broker")

    def close(self) -> None:
        """Publish "offline" and disconnect, within a second."""
        self._link.close()
