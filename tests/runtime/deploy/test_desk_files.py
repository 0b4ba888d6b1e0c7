"""What the desk reads, whoever wrote it, is read or refused in one line."""

import os
from pathlib import Path

import pytest

from segrt.runtime.deploy.rollout_record import record_file

pytestmark = pytest.mark.timeout(60)
DAMAGED = {"bytes": b"\xff", "deep": b"[" * 100_000, "type": b'{"run": 7}', "empty": b""}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_of_the_last_rollout_is_one_line(deploy, content: bytes) -> None:
    path = record_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    done = deploy("--resume")
    assert (done.code, done.err.count("\n")) == (2, 1), done
    assert f"{path}: is no record of a rollout (" in done.err


def test_lists_of_devices_and_indices_that_are_none_are_one_line(deploy, make_pack, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bytes").write_bytes(b"\xff\n")
    (tmp_path / "deep").write_bytes(b"[" * 100_000 + b"\n" + b"0" * 128 + b"\n")
    (tmp_path / "wide").write_bytes('{"counter": 1}'.encode("utf-16") + b"\n" + b"0" * 128)
    for option, names in (("--hosts", ("pipe", "bytes")), ("--index", ("pipe", "bytes", "deep", "wide"))):
        for name in names:
            done = deploy(make_pack("cam-1"), "cam1", option, tmp_path / name, environment=None)
            assert (done.code, done.err.count("\n")) == (2, 1), done
            assert f"{tmp_path / name}" in done.err
    done = deploy(make_pack("cam-1"), "cam1", "--pin-key", tmp_path / "pipe", environment=None)
    assert (done.code, "give its --index" in done.err) == (2, True)
