"""Tells Home Assistant how many things of each class a camera sees.

    pip install 'segrt[mqtt]'
    python examples/mqtt_home_assistant.py street-panoptic "street://?fps=5" mqtt://user:password@192.0.2.20

The broker is the one that Home Assistant's MQTT integration uses. A device appears there by itself, with a sensor for
each class of things; the sensors become unavailable when this program ends.
"""

import json
import re
import sys
import time
from collections import Counter
from typing import Any
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from segrt.runtime import open_bundle
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Result

SECONDS = 2.0  # counts go out at most so often, for Home Assistant keeps every value


def counts_of(result: Result) -> Counter[str]:
    """Return how many things of each class there are; a semantic result has none."""
    if isinstance(result, PanopticResult):
        return Counter(result.labels[one.class_id].name for one in result.segments if one.isthing)
    if isinstance(result, InstanceResult):
        return Counter(result.labels[int(class_id)].name for class_id in result.class_ids)
    return Counter()


def plain(name: str) -> str:
    """Return a name that topics and ids may hold."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def announcements(camera: str, model: str, labels: tuple[Label, ...]) -> dict[str, dict[str, Any]]:
    """Return topic → what Home Assistant's discovery wants to know of the sensor of each class of things.

    See https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
    """
    device = {"identifiers": [f"segrt_{camera}"], "name": f"segrt {camera}", "model": model, "manufacturer": "segrt"}
    return {
        f"homeassistant/sensor/segrt_{camera}/{plain(label.name)}/config": {
            "name": label.name,
            "unique_id": f"segrt_{camera}_{plain(label.name)}",
            "state_topic": f"segrt/{camera}/counts",
            "value_template": f"{{{{ value_json[{label.name!r}] }}}}",
            "availability_topic": f"segrt/{camera}/status",
            "state_class": "measurement",
            "device": device,
        }
        for label in labels
        if label.isthing
    }


def connect(broker: str, camera: str) -> mqtt.Client:
    """Return a client of the broker, which is told to say "offline" when this program is gone."""
    parts = urlsplit(broker)
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    if parts.username:
        client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
    client.will_set(f"segrt/{camera}/status", "offline", qos=1, retain=True)
    client.connect(parts.hostname or "127.0.0.1", parts.port or 1883)
    client.loop_start()
    return client


def main(bundle: str, source: str, broker: str, camera: str = "camera") -> None:
    """Publish the counts of `source` for as long as it lasts."""
    client = connect(broker, camera)
    with open_bundle(bundle) as segmenter:
        things = [label.name for label in segmenter.labels if label.isthing]
        for topic, sensor in announcements(camera, segmenter.manifest.name, segmenter.labels).items():
            client.publish(topic, json.dumps(sensor), qos=1, retain=True)
        client.publish(f"segrt/{camera}/status", "online", qos=1, retain=True)
        last = -SECONDS
        for _, result in segmenter.stream(source):
            if time.monotonic() - last >= SECONDS:
                last = time.monotonic()
                found = counts_of(result)
                client.publish(f"segrt/{camera}/counts", json.dumps({name: found[name] for name in things}), qos=1)
    client.publish(f"segrt/{camera}/status", "offline", qos=1, retain=True).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit("usage: mqtt_home_assistant.py BUNDLE SOURCE mqtt://[USER:PASSWORD@]HOST[:PORT] [CAMERA]")
    main(*sys.argv[1:])
