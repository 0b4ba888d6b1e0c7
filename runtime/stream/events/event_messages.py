"""Events as MQTT messages."""

from typing import TYPE_CHECKING, ClassVar

from segrt.runtime.outputs.sink_options import SinkOptions
from segrt.runtime.stream.broker_link import BrokerLink
from segrt.runtime.stream.events.event_output import EventOutput
from segrt.runtime.stream.needs import Needs

if TYPE_CHECKING:
    from segrt.runtime.stream.recorder import Recorder

_QUEUED = 1000  # events that wait for the broker; what comes while so many wait is dropped


class EventMessages(EventOutput):
    """Publishes each event, as JSON, on TOPIC/events of `mqtt[s]://HOST/TOPIC`, at least once; see `BrokerLink`.

    While the broker is away 1000 wait; what comes then is dropped, and counted.
    """

    forms: ClassVar = {"mqtt://HOST/TOPIC": ""}
    needs = Needs("MQTT sinks", ("paho-mqtt",), "mqtt")
    name = "events mqtt"

    def __init__(self, uri: str, options: SinkOptions | None = None) -> None:  # noqa: ARG002
        self._link = BrokerLink(uri, most=_QUEUED, what="--events", below="/events")
        self._recorder: Recorder | None = None
        self._label = self.name

    def begin(self, recorder: "Recorder", name: str, *, live: bool) -> None:  # noqa: ARG002
        """Begin to connect; events are taken at once."""
        self._recorder, self._label = recorder, name
        self._link.watch(recorder, name, name)
        self._link.open()

    def put(self, line: bytes, pts: float | None) -> None:  # noqa: ARG002
        """Hand the event to the client."""
        taken = self._link.publish(self._link.topic, line)
        if self._recorder is not None:
            self._recorder.sink(self._label, written=int(taken), dropped=int(not taken))

    def close(self) -> None:
        """Let what waits go out, for a second at most, and disconnect."""
        self._link.close()
