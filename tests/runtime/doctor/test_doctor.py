"""The doctor on this machine's real state, and on states of a Jetson and of a desktop.

The states hold what the doctor asks. They are written after NVIDIA's documentation and the formats of the files; no
Jetson was to hand.
"""

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from segrt.runtime.cli import main
from segrt.runtime.cli.doctor import report
from segrt.runtime.decode.decoders import RULES
from segrt.runtime.doctor.decoding import rule_places
from segrt.runtime.doctor.facts import gather
from segrt.runtime.doctor.feature import Feature
from segrt.runtime.doctor.features import CHECKS, features_of
from segrt.runtime.doctor.machine import RecordedMachine
from segrt.runtime.doctor.probes import PROBES
from segrt.runtime.inference.backends import BACKENDS
from segrt.runtime.inference.cuda.kernels import NO_KERNELS, built_files
from segrt.runtime.inference.cuda.presence import gpu_files
from segrt.runtime.registry import Registry
from segrt.runtime.stream.needs import Needs
from segrt.runtime.stream.sinks.sink_kinds import SINKS
from segrt.runtime.stream.sources.source_kinds import SOURCES

STATES = Path(__file__).parent / "states"
TENSORRT = "networks on the GPU with TensorRT"


def state(name: str, **probes: dict[str, Any]) -> dict[str, Any]:
    recorded = copy.deepcopy(json.loads((STATES / f"{name}.json").read_text()))
    recorded["probes"] |= probes
    return recorded


def features(recorded: dict[str, Any]) -> dict[str, Feature]:
    return {feature.name: feature for feature in features_of(gather(RecordedMachine(recorded)))}


def commands(feature: Feature) -> list[str]:
    return [remedy.command for remedy in feature.remedies]


def test_a_jetson_with_everything_is_described_and_lacks_nothing() -> None:
    recorded = state("jetson-jetpack62")
    facts = gather(RecordedMachine(recorded))
    assert (facts.kind, facts.jetpack, facts.l4t, facts.power_mode) == ("jetson", "6.2", "36.4.3", "15W")
    assert (facts.driver, facts.driver_cuda, facts.memory_mb) == ("540.4.0", "12.6", 7619)
    judged = features(recorded)
    assert judged[TENSORRT].state == "works"
    assert judged[TENSORRT].detail == "tensorrt 10.3.0 through cuda-python on Orin"
    assert [feature.name for feature in judged.values() if feature.state == "missing"] == []


def test_no_module_named_tensorrt_in_a_virtual_environment_that_hides_jetpack() -> None:
    recorded = state("jetson-jetpack62", tensorrt={"error": "No module named 'tensorrt'"})
    recorded["probes"]["python"] |= {"sees_system_packages": False}
    feature = features(recorded)[TENSORRT]
    assert feature.state == "missing"
    assert "No module named 'tensorrt'" in feature.detail
    change = "sed -i 's/^include-system-site-packages *=.*/include-system-site-packages = true/'"
    assert commands(feature) == [f"{change} /home/camera/segrt/pyvenv.cfg"]
    assert "--system-site-packages" in feature.remedies[0].why


def test_the_remedy_for_a_hiding_virtual_environment_works_on_a_real_one(tmp_path: Path) -> None:
    from segrt.runtime.doctor import remedies

    config = tmp_path / "pyvenv.cfg"
    config.write_text("home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.10.12\n")
    recorded = state("jetson-jetpack62", tensorrt={"error": "No module named 'tensorrt'"})
    recorded["probes"]["python"] |= {"sees_system_packages": False, "prefix": str(tmp_path)}
    (remedy,) = remedies.tensorrt(gather(RecordedMachine(recorded)))
    subprocess.run(remedy.command, shell=True, check=True)
    assert config.read_text().splitlines()[1] == "include-system-site-packages = true"


def test_a_python_that_jetpack_has_no_tensorrt_for_is_named() -> None:
    recorded = state("jetson-jetpack62", tensorrt={"error": "No module named 'tensorrt'"})
    recorded["probes"]["python"] |= {"version": "3.12.4"}
    feature = features(recorded)[TENSORRT]
    assert commands(feature)[0].startswith("/usr/bin/python3.10 -m venv --system-site-packages")
    assert "is for Python 3.10, this is 3.12" in feature.remedies[0].why


def test_a_jetson_without_jetpacks_packages_is_told_to_install_them() -> None:
    recorded = state("jetson-jetpack62", tensorrt={"error": "No module named 'tensorrt'"})
    recorded["globs"].pop("/usr/lib/python3*/dist-packages/tensorrt")
    recorded["commands"].pop("dpkg-query -W -f=${Version} nvidia-jetpack")
    facts = gather(RecordedMachine(recorded))
    assert facts.jetpack == "6.2", "by the release of Jetson Linux"
    assert "nvidia-jetpack" in commands(features(recorded)[TENSORRT])[0]


def test_jetpack_7_by_its_own_files() -> None:
    recorded = state("jetson-jetpack62")
    recorded["files"]["/etc/nv_tegra_release"] = "# R38 (release), REVISION: 2.1, GCID: 1, BOARD: generic\n"
    recorded["commands"].clear()
    facts = gather(RecordedMachine(recorded))
    assert (facts.jetpack, facts.l4t) == ("7.0", "38.2.1")


def test_a_jetson_without_its_camera_element_is_told_which_package_has_it() -> None:
    recorded = state("jetson-jetpack62", gstreamer={"version": "GStreamer 1.20.3", "elements": ["appsink"]})
    feature = features(recorded)["CSI cameras and gst: pipelines (GStreamer)"]
    assert feature.state == "missing"
    assert commands(feature) == ["sudo apt-get install -y nvidia-l4t-gstreamer"]


def test_a_desktop_gets_packages_for_the_cuda_of_its_driver() -> None:
    feature = features(state("ubuntu-rtx"))[TENSORRT]
    assert feature.state == "missing"
    assert commands(feature) == [
        "/home/me/.venv/bin/python -m pip install 'tensorrt-cu12>=10.3,<12'",
        "/home/me/.venv/bin/python -m pip install tensorrt-rtx",
        "/home/me/.venv/bin/python -m pip install 'cuda-python>=12,<13'",
    ]


def test_a_driver_is_installed_where_the_kernel_is_ones_own() -> None:
    recorded = state("ubuntu-rtx")
    recorded["files"].pop("/proc/driver/nvidia/version")
    assert "sudo ubuntu-drivers install" in commands(features(recorded)[TENSORRT])
    recorded["globs"] = {"/dev/dxg": ["/dev/dxg"]}
    assert "sudo ubuntu-drivers install" not in commands(features(recorded)[TENSORRT])


def test_a_servers_gpu_is_told_that_it_needs_plain_tensorrt() -> None:
    recorded = state(
        "ubuntu-rtx",
        tensorrt_rtx={"version": "1.7.1", "sms": ["8.9", "12.0"]},
        cuda={"packages": ["cuda-python"], "through": "cuda-python", "name": "NVIDIA H100", "sm": "9.0",
              "integrated": False, "driver_cuda": "13.0", "free_mb": 80000, "total_mb": 81000},
    )  # fmt: skip
    feature = features(recorded)[TENSORRT]
    assert feature.state == "missing"
    assert feature.detail == "tensorrt-rtx 1.7.1 is for SM 8.9, 12.0, this GPU has 9.0"
    assert commands(feature) == ["/home/me/.venv/bin/python -m pip install 'tensorrt-cu13>=10.3,<12'"]


def test_two_onnxruntimes_are_missing_one_too_few() -> None:
    recorded = state("ubuntu-rtx")
    recorded["probes"]["packages"] |= {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.32.0"}
    feature = features(recorded)["networks on the CPU (ONNX Runtime)"]
    assert feature.state == "missing"
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in commands(feature)[0]


def test_a_provider_that_is_offered_but_falls_back_is_not_called_usable() -> None:
    offered = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    recorded = state("ubuntu-rtx", onnxruntime={"version": "1", "offered": offered, "usable": offered[1:]})
    feature = features(recorded)["networks on the GPU with ONNX Runtime"]
    assert feature.state == "off"
    assert "cuDNN" in feature.detail
    assert "onnxruntime-gpu[cuda,cudnn]" in commands(feature)[0]


ON_CUDA = {
    "onnxruntime": {"version": "1.24", "offered": [], "usable": ["CUDAExecutionProvider", "CPUExecutionProvider"]},
    "cuda": {"packages": ["cuda-python"], "through": "cuda-python", "name": "RTX", "sm": "8.9", "integrated": False,
             "driver_cuda": "12.4", "free_mb": 8000, "total_mb": 8100},
}  # fmt: skip
OLD_DRIVER = "cuModuleLoadData of argmax.ptx failed: unsupported toolchain; update the driver"


@pytest.mark.parametrize(
    ("rules", "probes", "state_and_detail", "places"),
    [
        (
            {"argmax": None, "binary": None},
            ON_CUDA,
            ("works", "2 of 2 rules on RTX"),
            [("argmax", "GPU", "its kernels load"), ("binary", "GPU", "its kernels load")],
        ),
        (
            {"argmax": None, "binary": "has no decoder on the GPU"},
            ON_CUDA,
            ("works", "1 of 2 rules on RTX; the CPU decodes binary"),
            [("argmax", "GPU", "its kernels load"), ("binary", "CPU", "has no decoder on the GPU")],
        ),
        ({"argmax": OLD_DRIVER}, ON_CUDA, ("off", OLD_DRIVER), [("argmax", "CPU", OLD_DRIVER)]),
        (
            {"argmax": None},
            ON_CUDA | {"onnxruntime": {"version": "1", "usable": ["CPUExecutionProvider"]}},
            ("off", "the kernels load, but no backend executes networks on the GPU"),
            [("argmax", "CPU", "no backend executes networks on the GPU")],
        ),
    ],
)
def test_each_rule_is_said_where_it_will_run_and_why(
    rules: dict[str, Any], probes: dict[str, Any], state_and_detail: Any, places: Any
) -> None:
    recorded = state("ubuntu-rtx", **probes, kernels={"built": ["argmax"], "rules": rules})
    feature = features(recorded)["decoding on the GPU"]
    assert (feature.state, feature.detail) == state_and_detail
    assert [tuple(place) for place in rule_places(gather(RecordedMachine(recorded)))] == places


def test_a_build_without_kernels_is_told_how_to_get_them(capsys: pytest.CaptureFixture[str]) -> None:
    rules = dict.fromkeys(("argmax", "binary"), NO_KERNELS)
    recorded = state("ubuntu-rtx", **ON_CUDA, kernels={"built": [], "rules": rules})
    feature = features(recorded)["decoding on the GPU"]
    assert (feature.state, feature.detail) == ("off", NO_KERNELS)
    assert commands(feature) == ["/home/me/.venv/bin/python -m pip install --force-reinstall --no-deps segrt"]
    facts = gather(RecordedMachine(recorded))
    report(facts, features_of(facts))
    assert f"Decode rules: all on the CPU, {NO_KERNELS}." in capsys.readouterr().out


def test_a_driver_without_a_package_for_it_is_told_which_to_install() -> None:
    error = "neither cuda-python nor pycuda is installed, so the GPU cannot be used; pip install 'segrt[gpu]'"
    cuda = {"packages": [], "cuda_error": error}
    recorded = state("ubuntu-rtx", cuda=cuda, kernels={"built": ["argmax"], "rules": {"argmax": error}})
    feature = features(recorded)["decoding on the GPU"]
    assert (feature.state, feature.detail) == ("off", error)
    assert "cuda-python" in commands(feature)[0]


def test_every_rule_is_asked_for_on_this_machine() -> None:
    answer = PROBES["kernels"]()
    assert set(answer["rules"]) == set(RULES)
    assert tuple(answer["built"]) == built_files()
    if not gpu_files():
        assert all(answer["rules"].values()), "without a GPU there is a reason for each"


def test_what_sinks_declare_to_need_is_a_feature_each_once() -> None:
    judged = features(state("ubuntu-rtx"))
    assert list(judged)[-3:] == ["live page and metrics (http:// sinks)", "MQTT sinks", "export of models"]
    page = judged["live page and metrics (http:// sinks)"]
    assert (page.state, page.detail) == ("off", "not installed: starlette, prometheus-client")
    assert commands(page) == ["/home/me/.venv/bin/python -m pip install 'segrt[web]'"]
    assert (judged["MQTT sinks"].state, judged["MQTT sinks"].detail) == ("works", "paho-mqtt 2.1.0")


def test_kinds_that_cannot_be_loaded_are_missing_one_line_for_each_error() -> None:
    recorded = state("ubuntu-rtx")
    recorded["probes"]["kinds"] |= {name: {"error": "No module named 'x'"} for name in ("sink a", "source b")}
    feature = features(recorded)["sink a, source b"]
    assert (feature.state, feature.detail) == ("missing", "cannot be loaded: No module named 'x'")
    recorded["probes"]["kinds"] = {"error": "ended with code -4"}
    feature = features(recorded)["backends, sources and sinks"]
    assert (feature.state, feature.detail) == ("missing", "ended with code -4")
    assert commands(feature) == ["/home/me/.venv/bin/python -m pip install --force-reinstall --no-deps segrt"]


class DummySink:
    """A sink from outside that needs a package which nobody has, and numpy."""

    needs = Needs("dummy sinks", ("numpy", "no-such-package"))


class DummyBackend:
    """A backend from outside that needs nothing."""


@pytest.fixture
def added() -> Iterator[None]:
    """A backend, a source and a sink, added from outside, and a check of a feature."""
    entries: list[tuple[Registry[Any], str, Any]] = [
        (BACKENDS, "dummy", DummyBackend), (SOURCES, "dummy", "no_such_module:Source"), (SINKS, "dummy", DummySink),
        (CHECKS, "dummy", lambda facts: Feature("dummy feature", "off", facts.system)),
    ]  # fmt: skip
    for registry, name, entry in entries:
        registry.add(name, entry)
    yield
    for registry, name, _ in entries:
        registry.remove(name)


@pytest.mark.usefixtures("added")
def test_what_is_added_from_outside_is_seen_and_stays_in_a_bug_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["segrt", "doctor", "--json"])
    with pytest.raises(SystemExit):
        main()
    document = json.loads(capsys.readouterr().out)
    found = {feature["name"]: feature for feature in document["features"]}
    assert (found["dummy sinks"]["state"], found["dummy sinks"]["detail"]) == ("off", "not installed: no-such-package")
    (remedy,) = found["dummy sinks"]["remedies"]
    assert remedy["command"].endswith("-m pip install no-such-package")
    assert found["backend dummy"]["state"] == "works"
    assert found["backend dummy"]["detail"].endswith("test_doctor:DummyBackend")
    assert found["source dummy"]["detail"] == "cannot be loaded: No module named 'no_such_module'"
    assert found["dummy feature"]["detail"] == document["facts"]["system"]
    assert "sink .mp4" not in found, "segrt's own kinds have no line of their own"
    again = features_of(gather(RecordedMachine(document["asked"])))
    assert {feature.name: feature.state for feature in again} == {name: entry["state"] for name, entry in found.items()}


def test_the_report_shows_commands_in_one_piece(capsys: pytest.CaptureFixture[str]) -> None:
    facts = gather(RecordedMachine(state("ubuntu-rtx")))
    report(facts, features_of(facts))
    printed = capsys.readouterr().out
    assert "NVIDIA UNIX" not in printed
    assert "MISSING" in printed
    assert "\n  /home/me/.venv/bin/python -m pip install 'tensorrt-cu12>=10.3,<12'\n" in printed


@pytest.mark.prints_table("doctor")
def test_the_command_prints_the_report(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segrt.runtime.doctor.machine.ThisMachine", lambda: RecordedMachine(state("ubuntu-rtx")))
    monkeypatch.setattr("sys.argv", ["segrt", "doctor"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1, "TensorRT is missing there"
    printed = capsys.readouterr().out
    assert "This device" in printed
    assert "MISSING" in printed


def test_this_machine_is_described_and_a_bug_report_can_be_looked_at_again(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from segrt.runtime.cli import main; main()", "doctor", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        check=False,
    )
    document = json.loads(done.stdout)
    states = {feature["name"]: feature["state"] for feature in document["features"]}
    assert done.returncode == int("missing" in states.values()), done.stderr
    assert states["post-processing in C++"] == "works"
    assert states["networks on the CPU (ONNX Runtime)"] == "works"
    assert (states[TENSORRT] == "off") == (not gpu_files())
    assert document["facts"]["python"]["executable"] == sys.executable
    again = features_of(gather(RecordedMachine(document["asked"])))
    assert {feature.name: feature.state for feature in again} == states


def test_a_probe_of_a_missing_module_is_an_answer_not_a_crash() -> None:
    program = (
        "import runpy, sys; sys.modules['gi'] = None; sys.argv = ['probes', 'gstreamer']; "
        "runpy.run_module('segrt.runtime.doctor.probes', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "error" in json.loads(done.stdout)
    assert set(PROBES) >= {"python", "cuda", "onnxruntime", "tensorrt", "tensorrt_rtx"}
