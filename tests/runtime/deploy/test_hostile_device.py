"""Whatever a device says, the desk shows one row for it, as text, within bounds of memory and time."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from segrt.runtime.deploy import conversation, host, ssh
from segrt.runtime.deploy.conversation import Patience
from segrt.runtime.deploy.device.protocol import StatusRequest
from segrt.runtime.deploy.rollout import roll_out
from segrt.runtime.deploy.ssh import Device
from segrt.runtime.deploy.status_table import status_rows
from segrt.runtime.errors import SegrtError

EXCHANGES = json.loads((Path(__file__).parent / "recorded/exchanges.json").read_text())
STATUS = EXCHANGES["status of all services"]["answer"]
Says = Callable[[str], Device]


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    """Makes a device whose side is the given Python program, in the place of ssh."""

    def make(program: str) -> Device:
        (tmp_path / "program.py").write_text("import sys, time\nsys.stdin.buffer.read()\n" + program)
        (tmp_path / "ssh").write_text(f"#!/bin/sh\nexec {sys.executable} -I {tmp_path}/program.py\n")
        (tmp_path / "ssh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return Device("cam1")

    return make


def changed_status(**changed: object) -> str:
    """A program that answers with a status in which some values are others."""
    return f"print({json.dumps(STATUS | {'status': STATUS['status'] | changed})!r})\n"


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("while True: sys.stdout.write('x' * 65536)\n", "sent a line of more than 1 MiB"),
        ("while True: sys.stdout.write('x' * 60000 + '\\n')\n", "sent more than 8 MiB"),
        ("while True: print('{\"step\": \"' + str(time.time()) + '\"}')\n", "sent more than 1000 messages"),
        ('while True: print(\'{"note": "x"}\')\n', "sent more than 1000 messages"),
    ],
)
def test_a_device_that_never_stops_talking_is_cut_off(says: Says, program: str, why: str) -> None:
    begun = time.monotonic()
    with pytest.raises(SegrtError, match=f"the device {why}; look at it with `ssh cam1`"):
        host.ask_status(says(program), StatusRequest())
    assert time.monotonic() - begun < 10


def test_a_device_that_says_nothing_or_dawdles_is_given_up(says: Says, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ssh._PATIENCE, StatusRequest, Patience(0.7, 60))
    with pytest.raises(SegrtError, match="the device said nothing for 1 s"):
        host.ask_status(says("time.sleep(30)\n"), StatusRequest())
    monkeypatch.setitem(ssh._PATIENCE, StatusRequest, Patience(60, 0.7))
    with pytest.raises(SegrtError, match="the device took more than 0 minutes"):
        host.ask_status(says("while True: print('.', flush=True), time.sleep(0.2)\n"), StatusRequest())


@pytest.mark.parametrize(
    "line",
    [
        '{"result": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"result": ' * 50_000,
        '{"result": "done", "status": ' + "9" * 5000 + "}",
        '{"result": "done", "status": {"free": NaN}}',
        '{"result": 7}',
        '{"result": "done"}',
        '{"result": "done", "status": null}',
        '{"result": "done", "status": []}',
    ],
    ids=["deep", "deep and open", "5000 digits", "NaN", "number", "no status", "null", "list"],
)
def test_json_that_is_none_of_ours_is_one_line(says: Says, line: str, tmp_path: Path) -> None:
    (tmp_path / "line").write_text(line + "\n")
    with pytest.raises(SegrtError) as raised:
        host.ask_status(says(f"print(open({str(tmp_path / 'line')!r}).read())\n"), StatusRequest())
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"free": -1}, "free cannot be -1"),
        ({"free": 1 << 70}, "status.free must be a number of at most 64 bits"),
        ({"python": "3." + "9" * 5000}, "python cannot be '3.999"),
        ({"glibc": "2"}, "glibc cannot be '2'"),
        ({"glibc": "2.99999999999"}, "glibc cannot be"),
        ({"machine": "x --index-url http://evil"}, "machine cannot be"),
        ({"root": "relative"}, "root cannot be 'relative'"),
        ({"root": "/x\nExecStart=/bin/evil"}, "root cannot be"),
        ({"manager": "upstart"}, "manager cannot be 'upstart'"),
        ({"key": "none"}, "key cannot be 'none'"),
        ({"environments": ["e"] * 5000}, "has 5000 environments"),
    ],
)
def test_values_that_no_device_has_are_refused(says: Says, changed: dict[str, object], why: str) -> None:
    with pytest.raises(SegrtError) as raised:
        host.ask_status(says(changed_status(**changed)), StatusRequest())
    assert why in str(raised.value)
    assert len(str(raised.value)) < 300


def test_files_that_were_asked_for_must_be_in_the_answer(says: Says) -> None:
    for arrived, known in (({}, {}), ({"0" * 64: -5}, {"0" * 64: True}), ({"0" * 64: 1}, {})):
        with pytest.raises(SegrtError, match="says nothing of the file 000000000000"):
            host.ask_status(says(changed_status(arrived=arrived, known=known)), StatusRequest(files=("0" * 64,)))


def test_a_status_of_any_length_is_a_short_row(says: Says) -> None:
    service = STATUS["status"]["services"][0]
    long = [service | {"current": "r" * 100_000, "service": "s" * 100_000}] * 4
    for services in (long, [service] * 900):
        rows = status_rows("cam1", host.ask_status(says(changed_status(services=services)), StatusRequest()))
        assert len(rows) <= 100
        assert max(len(cell) for row in rows for cell in row) <= 400


def test_escape_sequences_of_a_device_are_shown_as_text(says: Says) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u009b31m\u202eab\rsegrt: all is well\x00"
    answer = {"result": "failed", "why": evil, "details": evil + "\nnext line", "release": evil, "notes": [evil]}
    program = f"print({json.dumps({'step': evil})!r})\nprint({json.dumps(answer)!r})\n"
    says(changed_status() + program)
    for words in (["--status", "cam1"], ["--rollback", "cam1"]):
        done = subprocess.run(
            [f"{sys.prefix}/bin/segrt", "deploy", *words], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 1
        for character in ("\x1b", "\x07", "\u009b", "\u202e", "\r", "\x00"):
            assert character not in done.stdout + done.stderr, (words, character)
        assert "\\x1b]0;owned" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


class Silent:
    """A display that shows nothing."""

    def show(self, *_: object) -> None:
        """Show nothing."""

    def end(self, *_: object) -> None:
        """Show nothing."""


def test_one_device_that_fails_as_nobody_thought_of_is_one_row() -> None:
    devices = [Device(name) for name in ("cam1", "cam2", "cam3")]

    def work(device: Device, _: object) -> host.Outcome:
        if device.name == "cam2":
            raise KeyError("surprise")
        return host.Outcome(device.name, "done", "fine")

    outcomes = roll_out(devices, 2, Silent(), work)
    assert [outcome.state for outcome in outcomes] == ["done", "failed", "done"]
    assert outcomes[1].line == "KeyError: 'surprise'; this is a fault of segrt, please report it"
    assert "Traceback" in outcomes[1].details


def test_a_line_may_come_in_pieces() -> None:
    lines = conversation._Lines()
    assert lines.take(b'{"st') == []
    assert lines.take(b'ep": "a"}\n{"result"') == [b'{"step": "a"}']
    assert lines.take(b': "done"}\n{}') == [b'{"result": "done"}']
    assert lines.take(b"") == [b"{}"], "the last line may lack its end"


def test_extras_that_a_device_names_are_names(says: Says) -> None:
    from segrt.runtime.deploy.device.protocol import PackContent
    from segrt.runtime.deploy.environment_choice import extras_for
    from segrt.runtime.deploy.plan import Options, PackFile, Plan

    (service,) = STATUS["status"]["services"]
    release = service["release"] | {"stream": ["${X}"], "extras": ["web] @ https://evil.example/x.whl ; ["]}
    services = [service | {"release": release}]
    status = host.ask_status(says(changed_status(services=services)), StatusRequest())
    plan = Plan(Options(pack="p", service=service["service"]), PackFile(Path("p"), 1, PackContent("0", "p")), None, "r")
    with pytest.raises(SegrtError, match="is no name of an extra"):
        extras_for(plan, status)
