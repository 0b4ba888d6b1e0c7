"""Desks and devices of different versions understand each other, and what the other has left on a device.

`recorded/` holds what an earlier segrt said and kept: a deployment, an upgrade, one that failed, a rollback. It is read
here, and must be contained in what is written.
"""

import io
import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from segrt.runtime.deploy import host, rollout_record
from segrt.runtime.deploy.device import activation, journal, kept_records, main, protocol
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.folders import ServiceFolders, read_record, write_record
from segrt.runtime.deploy.device.json_conversion import from_json, to_json
from segrt.runtime.deploy.device.release import release_id
from segrt.runtime.deploy.rollout_record import read_record as read_rollout
from segrt.runtime.deploy.rollout_record import write_record as write_rollout
from segrt.runtime.deploy.ssh import Device
from segrt.runtime.deploy.status_table import status_rows
from segrt.runtime.errors import SegrtError

RECORDED = Path(__file__).parent / "recorded"
EXCHANGES: dict[str, Any] = json.loads((RECORDED / "exchanges.json").read_text())
ANSWERED = [name for name, exchange in EXCHANGES.items() if "answer" in exchange]
ANSWERS = {
    "status": protocol.StatusAnswer, "receive": protocol.ReceiveAnswer, "install": protocol.DeploymentAnswer,
    "rollback": protocol.DeploymentAnswer,
}  # fmt: skip
FILES = {
    "release.json": kept_records.ReleaseRecord, "deployment.json": kept_records.DeploymentRecord,
    "deployment-at-work.json": kept_records.DeploymentRecord, "trial.json": kept_records.Trial,
    "health.json": kept_records.Health,
}  # fmt: skip
NAME = "cam-1-55b1e357b8"


def assert_holds(new: Any, old: Any, where: str = "") -> None:
    """Every key of the old value is in the new one, with the same value in it."""
    if isinstance(old, dict):
        assert set(old) <= set(new), where
        for key, value in old.items():
            assert_holds(new[key], value, f"{where}.{key}")
    elif isinstance(old, list) and old and isinstance(old[0], dict):
        assert len(new) == len(old), where
        for number, value in enumerate(old):
            assert_holds(new[number], value, f"{where}[{number}]")
    else:
        assert (new, type(new)) == (old, type(old)), where


def request_of(content: Any) -> protocol.Request:
    return main._request(json.dumps(content).encode())


@pytest.fixture
def old_device(tmp_path: Path) -> ServiceFolders:
    """The folders of a service that the recorded segrt has installed, with what it left there."""
    folders = ServiceFolders(tmp_path / "segrt", "segrt-stream")
    folders.make()
    for name in (NAME, "cam-2-a04ded0db4"):
        (folders.releases / name).mkdir()
        (folders.releases / name / "release.json").write_text((RECORDED / "release.json").read_text())
    folders.current.symlink_to(f"releases/{NAME}")
    folders.previous.symlink_to("releases/cam-2-a04ded0db4")
    folders.deployment.write_text((RECORDED / "deployment.json").read_text())
    folders.history.write_text((RECORDED / "history.jsonl").read_text())
    return folders


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_request_is_read_and_written_as_ever(name: str) -> None:
    content = EXCHANGES[name]["request"]
    request = request_of(content)
    assert type(request).__name__.lower().startswith(content["command"])
    assert_holds(to_json(request), content)
    assert request_of(to_json(request)) == request


@pytest.mark.parametrize("name", ANSWERED)
def test_an_answer_is_read_and_written_as_ever(name: str) -> None:
    kind, content = ANSWERS[EXCHANGES[name]["request"]["command"]], EXCHANGES[name]["answer"]
    answer = from_json(kind, content, "answer", "remedy")
    assert_holds(to_json(answer), content)
    assert from_json(kind, json.loads(json.dumps(to_json(answer))), "answer", "remedy") == answer


@pytest.mark.parametrize("name", FILES)
def test_a_file_on_a_device_is_read_and_written_to_the_byte(name: str, tmp_path: Path) -> None:
    record = read_record(FILES[name], RECORDED / name)
    text = (RECORDED / name).read_text()
    if name == "health.json":  # which the supervisor writes in one line
        assert json.dumps(to_json(record)) + "\n" == text
        return
    write_record(tmp_path / name, record)
    assert (tmp_path / name).read_text() == text


def test_a_journal_keeps_what_it_kept(
    old_device: ServiceFolders, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders, exchange = old_device, EXCHANGES["install"]
    old_history = folders.history.read_text().splitlines()
    times = iter((json.loads(old_history[0])["started"], json.loads(old_history[0])["ended"]))
    monkeypatch.setattr(journal, "now", lambda: next(times))
    folders.current.unlink()
    written = journal.Journal(folders, exchange["request"]["run"], "install")
    written.set_release(exchange["answer"]["release"])
    for event in exchange["events"]:
        written.step(event["step"]) if "step" in event else written.note(event["note"])
    at_work = json.loads(folders.deployment.read_text())
    assert list(at_work) == list(json.loads((RECORDED / "deployment-at-work.json").read_text()))
    assert (at_work["step"], at_work["ended"], at_work["why"]) == ("watch", None, None)
    written.end("done")
    assert folders.history.read_text().splitlines()[-1] == old_history[0]
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told == [*exchange["events"], exchange["answer"]]


def test_a_release_has_the_name_that_it_had() -> None:
    exchange = EXCHANGES["install of a wheel"]
    request = request_of(exchange["request"])
    assert isinstance(request, protocol.InstallRequest)
    assert release_id(request) == exchange["release"]
    request = request_of(EXCHANGES["install"]["request"])
    assert isinstance(request, protocol.InstallRequest)
    assert release_id(request) == EXCHANGES["install"]["answer"]["release"]


def test_a_device_that_an_older_desk_left_is_asked_and_goes_back(
    old_device: ServiceFolders, capsys: pytest.CaptureFixture[str]
) -> None:
    content = EXCHANGES["status"]["request"] | {"root": str(old_device.root)}
    text = json.dumps(content).encode()
    assert main.serve(io.BytesIO(text), Path("segrt-device"), len(text)) == 0
    answer = json.loads(capsys.readouterr().out)
    old = EXCHANGES["status"]["answer"]
    assert set(old["status"]) <= set(answer["status"])
    (service,), (old_service,) = answer["status"]["services"], old["status"]["services"]
    assert set(old_service) <= set(service)
    assert_holds(service["release"], old_service["release"])
    assert set(old_service["deployment"]) <= set(service["deployment"])
    assert set(old_service["health"]) <= set(service["health"])
    old_device.trial.write_text((RECORDED / "trial.json").read_text())
    assert activation.recover(old_device) == json.loads((RECORDED / "trial.json").read_text())["from"]
    assert old_device.linked(old_device.current) == "cam-2-a04ded0db4"


def test_a_desk_hears_an_older_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ssh").write_text(f"#!/bin/sh\ncat >/dev/null\ncat {tmp_path}/answer\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    device = Device("cam1")
    for name in ANSWERED:
        exchange, steps = EXCHANGES[name], list[str]()
        lines = ["Welcome to the camera", *map(json.dumps, [*exchange["events"], exchange["answer"]])]
        (tmp_path / "answer").write_text("\n".join(lines) + "\n")
        kind = ANSWERS[exchange["request"]["command"]]
        answer = device.ask(request_of(exchange["request"]), kind, on_step=steps.append)
        assert steps == [event["step"] for event in exchange["events"] if "step" in event]
        assert (answer.result, answer.why) == (exchange["answer"]["result"], exchange["answer"].get("why"))
    (tmp_path / "answer").write_text(json.dumps(EXCHANGES["status of all services"]["answer"]))
    status = host.ask_status(device, protocol.StatusRequest())
    (row,) = status_rows("cam1", status)
    assert row[1:6] == ["segrt-stream", "cam-2-a04ded0db4", "9.9.9", "running, 37 results", NAME]
    assert row[6].startswith("install failed 2026-")
    (tmp_path / "answer").write_text('{"result": "done", "status": {"machine": 7}}\n')
    with pytest.raises(SegrtError, match=r"the device's answer: status.machine must be text, but is 7; deploy again"):
        host.ask_status(device, protocol.StatusRequest())


def test_a_rollout_of_an_older_desk_can_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_record, "record_file", lambda: tmp_path / "last.json")
    text = (RECORDED / "last.json").read_text()
    (tmp_path / "last.json").write_text(text)
    rollout = read_rollout()
    assert (rollout.left, rollout.options.grace, rollout.options.groups) == (("cam1",), 5.0, ("video",))
    write_rollout(rollout)
    content = json.loads(text)
    assert_holds(json.loads((tmp_path / "last.json").read_text()), content)
    del content["options"]["retries"]
    (tmp_path / "last.json").write_bytes(msgspec.json.encode(content | {"of a newer desk": 1}))
    assert read_rollout() == rollout


@pytest.mark.parametrize("name", ["status", "install"])
def test_keys_of_a_newer_version_are_ignored(name: str) -> None:
    def grown(content: Any) -> Any:
        if isinstance(content, dict):
            return {key: grown(value) for key, value in content.items()} | {"of tomorrow": {"x": 1}}
        return [grown(item) for item in content] if isinstance(content, list) else content

    content = EXCHANGES["status"]["answer"]
    plain = from_json(protocol.StatusAnswer, content, "answer", "remedy")
    content = content | {"status": {**content["status"], "services": grown(content["status"]["services"]), "new": []}}
    assert from_json(protocol.StatusAnswer, content, "answer", "remedy") == plain
    request = EXCHANGES[name]["request"]
    assert request_of(request | {"of tomorrow": [1]}) == request_of(request)


def test_what_an_older_version_lacked_has_a_default() -> None:
    release = from_json(kept_records.ReleaseRecord, {"bundle": "cam", "pack": "0"}, "release.json", "remedy")
    assert (release.stream, release.segrt, release.options) == (None, "", None)
    deployment = from_json(kept_records.DeploymentRecord, {"run": "1", "notes": None, "details": None}, "x", "remedy")
    assert (deployment.notes, deployment.details, deployment.ended, deployment.from_release) == ((), "", None, None)
    assert from_json(kept_records.Health, {"running": True}, "x", "remedy") == kept_records.Health(running=True)


@pytest.mark.parametrize(
    ("kind", "content", "why"),
    [
        (kept_records.ReleaseRecord, [], "x: it must be an object, but is []; remedy"),
        (kept_records.ReleaseRecord, {"bundle": "cam"}, "x: pack is missing; remedy"),
        (kept_records.ReleaseRecord, {"bundle": 1, "pack": "0"}, "x: bundle must be text, but is 1; remedy"),
        (
            kept_records.ReleaseRecord,
            {"bundle": "a", "pack": "0", "stream": "b"},
            "x: stream must be a list, but is 'b'; remedy",
        ),
        (
            kept_records.ReleaseRecord,
            {"bundle": "a", "pack": "0", "options": {"keep": 2.5}},
            "x: options.keep must be a whole number, but is 2.5; remedy",
        ),
        (kept_records.Health, {"running": 1}, "x: running must be true or false, but is 1; remedy"),
        (kept_records.Health, {"running": True, "pid": True}, "x: pid must be a whole number, but is True; remedy"),
        (kept_records.WatchOptions, {"grace": "1\n2"}, r"x: grace must be a number, but is '1\n2'; remedy"),
        (
            protocol.EnvironmentRequest,
            {"wheels": {"a.whl": None}},
            "x: wheels.a.whl must be text, but is None; remedy",
        ),
    ],
)
def test_a_value_of_another_type_is_one_line_with_the_remedy(kind: type, content: Any, why: str) -> None:
    with pytest.raises(Failure) as raised:
        from_json(kind, content, "x", "remedy")
    assert str(raised.value) == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"command": "dance"}', "the device does not know 'dance'; this is a segrt of another time"),
        ("{}", "the device does not know None; this is a segrt of another time"),
        ("[1]", "the desk's request is no JSON object; this is a segrt of another time"),
        ("{", "the desk's request is no JSON object; this is a segrt of another time"),
        ('{"command": "receive"}', "the desk's request 'receive': sha256 is missing; this is a segrt of another time"),
    ],
)
def test_a_request_that_is_none_is_answered_in_one_line(
    text: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.serve(io.BytesIO(text.encode()), Path("segrt-device"), len(text)) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {"result": "failed", "why": why, "details": ""}


def test_a_damaged_file_on_the_device_is_named(old_device: ServiceFolders) -> None:
    path = old_device.releases / NAME / "release.json"
    path.write_text('{"bundle": "cam", "pack": 3}')
    with pytest.raises(Failure) as raised:
        old_device.record_of(NAME)
    assert str(raised.value) == f"{path}: pack must be text, but is 3; mend the file on the device, or remove it"
    path.write_text("not JSON")
    assert old_device.record_of(NAME) is None
    old_device.trial.write_text('{"to": "x", "from": 3}')
    assert activation.recover(old_device) is None, "a damaged file keeps no service from starting"
    assert not old_device.trial.exists()


def test_everything_that_is_exchanged_or_kept_is_a_frozen_dataclass() -> None:
    kinds = [value for module in (protocol, kept_records) for value in vars(module).values() if isinstance(value, type)]
    kinds = [kind for kind in kinds if kind.__module__.startswith("segrt.")]
    assert len(kinds) > 20
    for kind in kinds:
        assert is_dataclass(kind), kind
        assert kind.__dataclass_params__.frozen, kind  # type: ignore[attr-defined]
        assert all(field.type is not Any for field in fields(kind)), kind
