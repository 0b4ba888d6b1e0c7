"""`segrt doctor`: what this device has, what is missing, and the command that mends it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from segrt.runtime.cli.json_output import STANDARD_OUTPUT, JsonCommand, check_json, json_option, write_json_text
from segrt.runtime.console.tables import print_table
from segrt.runtime.files.json_files import encode_json

if TYPE_CHECKING:
    from segrt.runtime.doctor.facts import Facts
    from segrt.runtime.doctor.feature import Feature

_SIGNS = {"works": "works", "off": "off", "missing": "MISSING"}


@click.command(cls=JsonCommand)
@json_option("everything that was asked and found, for bug reports,")
def doctor(json_path: Path | None) -> int:
    """Say what this device has, which of segrt's features work on it, and the commands that mend what is missing.

    Nothing is changed. The exit code is 1 when something is missing that should be there, a GPU without TensorRT for
    instance; what is merely off is no reason.
    """
    import dataclasses

    from segrt.runtime.doctor.decoding import rule_places
    from segrt.runtime.doctor.facts import gather
    from segrt.runtime.doctor.features import features_of
    from segrt.runtime.doctor.machine import ThisMachine

    check_json(json_path)
    machine = ThisMachine()
    facts = gather(machine)
    features = features_of(facts)
    if json_path is not None:
        import msgspec

        document = {
            "facts": dataclasses.asdict(facts),
            "features": [dataclasses.asdict(feature) for feature in features],
            "decoding": [place._asdict() for place in rule_places(facts)],
            "asked": machine.asked,
        }
        write_json_text(json_path, msgspec.json.format(encode_json(document), indent=2).decode())
    if json_path != STANDARD_OUTPUT:
        report(facts, features)
    return int(any(feature.state == "missing" for feature in features))


def report(facts: "Facts", features: "list[Feature]") -> None:
    """Print the device, the features and the remedies."""
    print_table("This device", ["", ""], [[name, value] for name, value in _device(facts) if value])
    print_table(
        "Features",
        ["feature", "", "with, or why not"],
        [[feature.name, _SIGNS[feature.state], feature.detail] for feature in features],
    )
    _decoding(facts)
    _remedies("To mend what is missing:", [feature for feature in features if feature.state == "missing"])
    _remedies("To turn on what is off:", [feature for feature in features if feature.state == "off"])


def _decoding(facts: "Facts") -> None:
    """Print where each rule will run; one line where all run in one place for one reason."""
    from segrt.runtime.doctor.decoding import rule_places

    places = rule_places(facts)
    reasons = {(place, why) for _, place, why in places}
    if len(reasons) == 1:
        ((place, why),) = reasons
        click.echo(f"Decode rules: all on the {place}, {why}.\n")
    elif places:
        print_table("Decode rules", ["rule", "runs on", "because"], [list(place) for place in places])


def _remedies(title: str, features: "list[Feature]") -> None:
    """Print commands, each once and in one piece, so that they can be copied."""
    lines: dict[str, str] = {}
    for feature in features:
        for remedy in feature.remedies:
            lines.setdefault(remedy.command, remedy.why)
    if not lines:
        return
    click.echo(title)
    for command, why in lines.items():
        click.echo(f"  # {why}\n  {command}")
    click.echo()


def _device(facts: "Facts") -> list[tuple[str, str]]:
    gpu = facts.cuda
    shown = ""
    if "name" in gpu:
        shared = ", shares the host's memory" if gpu.get("integrated") else ""
        shown = f"{gpu['name']}, SM {gpu['sm']}, {gpu['free_mb']} of {gpu['total_mb']} MB free{shared}"
    elif facts.has_gpu:
        shown = f"there is one ({facts.gpu_files[0]}), but CUDA does not reach it"
    python = facts.python
    hidden = python.get("in_virtualenv") and not python.get("sees_system_packages")
    environment = ", virtual environment without the system's packages" if hidden else ""
    jetpack = f"JetPack {facts.jetpack} (Jetson Linux {facts.l4t})" if facts.l4t else ""
    return [
        ("board", facts.board),
        ("JetPack", jetpack),
        ("system", f"{facts.system}, {python.get('machine', '')}" + (", in a container" if facts.in_container else "")),
        ("power mode", facts.power_mode),
        ("memory", f"{facts.free_memory_mb} of {facts.memory_mb} MB available"),
        ("GPU", shown or "none"),
        ("driver", ", ".join(filter(None, (facts.driver, facts.driver_cuda and f"for CUDA {facts.driver_cuda}")))),
        ("Python", f"{python.get('version', '')} ({python.get('executable', '')}){environment}"),
        ("ONNX Runtime", ", ".join(str(name) for name in facts.onnxruntime.get("usable", ()))),
        ("segrt's cache", f"{facts.disk.get('folder', '')}, {facts.disk.get('free_mb', 0)} MB free"),
    ]
