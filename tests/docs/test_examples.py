"""The examples do what they say."""

import json
import re
import runpy
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from segrt.runtime.bundle.locating import embedded_names
from segrt.runtime.results import Label, PanopticResult, Segment
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.recorder import Recorder
from segrt.runtime.streetworld.moments import Clip
from segrt.runtime.streetworld.writing import write_video

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
needs_bundles = pytest.mark.skipif(
    "street-panoptic" not in embedded_names(), reason="the embedded bundles are not here"
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "street.mp4"
    write_video(path, Clip(seed=4, frames=4, size=(96, 160), fps=10.0, weather=None), 10.0)
    return path


@needs_bundles
def test_the_notebook_runs_and_shows_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[bytes] = []
    display = ModuleType("IPython.display")
    display.Image = lambda data: data  # type: ignore[attr-defined]
    display.display = shown.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    notebook = json.loads((EXAMPLES / "comparison.ipynb").read_text())
    assert (notebook["nbformat"], len({cell["id"] for cell in notebook["cells"]})) == (4, len(notebook["cells"]))
    known: dict[str, object] = {"__name__": "notebook"}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec(compile("".join(cell["source"]), cell["id"], "exec"), known)
    assert [data[:4] for data in shown] == [b"\x89PNG"] * 2
    assert set(known["results"]) == {"semantic", "instance", "panoptic"}  # type: ignore[call-overload]


@needs_bundles
def test_things_are_counted(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "count_things.py"))["main"]("street-panoptic", str(clip))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all(re.match(r" +0\.\d\d s: \d+ \w+", line) for line in lines)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    if MOSQUITTO is None:
        pytest.skip("needs mosquitto (apt-get install mosquitto)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    with subprocess.Popen([MOSQUITTO, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield port
        process.terminate()


@needs_bundles
def test_home_assistant_finds_sensors_and_counts(broker: int, clip: Path) -> None:
    mqtt = pytest.importorskip("paho.mqtt.client", reason="needs the extra segrt[mqtt]")
    from paho.mqtt.enums import CallbackAPIVersion

    told: list[tuple[str, str]] = []
    listener = mqtt.Client(CallbackAPIVersion.VERSION2)
    listener.on_message = lambda _client, _data, message: told.append((message.topic, message.payload.decode()))
    listener.connect("127.0.0.1", broker)
    listener.subscribe([("homeassistant/#", 1), ("segrt/#", 1)])
    listener.loop_start()
    example = runpy.run_path(str(EXAMPLES / "mqtt_home_assistant.py"))
    example["main"]("street-panoptic", str(clip), f"mqtt://127.0.0.1:{broker}", "gate")
    for _ in range(100):
        if ("segrt/gate/status", "offline") in told:
            break
        time.sleep(0.05)
    listener.disconnect()
    listener.loop_stop()
    sensors = {topic: json.loads(text) for topic, text in told if topic.startswith("homeassistant/")}
    assert len(sensors) == 6
    light = sensors["homeassistant/sensor/segrt_gate/traffic_light/config"]
    assert light["value_template"] == "{{ value_json['traffic light'] }}"
    counts = [json.loads(text) for topic, text in told if topic == light["state_topic"]]
    assert counts
    assert set(counts[0]) == {sensor["name"] for sensor in sensors.values()}
    statuses = [text for topic, text in told if topic == light["availability_topic"]]
    assert statuses == ["online", "offline"]


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    prometheus = pytest.importorskip("segrt.runtime.stream.web.prometheus", reason="needs the extra segrt[web]")
    from segrt.runtime.stream.web.hub import Newest

    recorder = Recorder(["cam"])
    recorder.entered("cam")
    recorder.took("cam", "inference", 4.5)
    recorder.finished("cam", 20.0, 0)
    recorder.sink("mp4", written=1)
    label = Label("car", 1, True, (0, 0, 255))
    result = PanopticResult(np.ones((8, 8), np.int32), [Segment(1, 0, True, 0.9, 64, (0, 0, 8, 8))], (label,))
    newest = Newest(Frame(np.zeros((8, 8, 3), np.uint8), 0, 0.0, 0.0, "cam"), result, 0.0, 1.0)
    text = prometheus.exposition(recorder, lambda _: newest).decode()
    there = dict(re.findall(r"^(segrt_\w+)(\{[^\n]*\}|) ", text, re.MULTILINE))
    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [one["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"]
    used = {(name, labels) for text in asked for name, labels in re.findall(r"(segrt_\w+)(\{[^}]*\})?", text)}
    assert len(used) > 10
    for name, labels in used:
        assert name in there
        for asked_for in re.findall(r"(\w+)=", labels):
            assert asked_for == "instance" or f"{asked_for}=" in there[name], (name, asked_for)
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)


def test_prometheus_is_told_the_token_by_a_file() -> None:
    yaml = pytest.importorskip("yaml")
    config = yaml.safe_load((EXAMPLES / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    assert job["authorization"] == {"credentials_file": "/etc/prometheus/segrt-token"}
