"""${NAME} in arguments is filled in by the program itself, so that the list of processes shows no secret."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from segrt.runtime.errors import SegrtError
from segrt.runtime.files.fill_in import fill_in


def test_variables_are_filled_in_and_all_else_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA", "rtsp://user:$1 ${N}@h/a")
    monkeypatch.setenv("N", "1")
    assert fill_in("${CAMERA}") == "rtsp://user:$1 ${N}@h/a", "values are not filled in again"
    assert fill_in("x${N}y${N}") == "x1y1"
    for text in ("$N", "${", "${}", "${1}", "${N", "$(N)", ""):
        assert fill_in(text) == text


def test_a_variable_that_is_not_set_is_named_and_nothing_else_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOST", raising=False)
    with pytest.raises(SegrtError) as raised:
        fill_in("rtsp://user:sesame@${HOST}/a")
    assert str(raised.value) == (
        "rtsp://***@${HOST}/a: the variable HOST is not set; write HOST=... into the environment file"
    )


def test_a_stream_fills_in_its_arguments_and_its_processes_do_not_show_them(tmp_path: Path) -> None:
    words = [f"{sys.prefix}/bin/segrt", "stream", "street-semantic", "${SOURCE}", "--sink", "${OUT}/out.jsonl"]
    words += ["--max-frames", "2", "--threads", "1"]
    environment = {**os.environ, "SOURCE": "street://?seed=1&width=64&height=64", "OUT": str(tmp_path)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2
    assert b"street://" not in shown
    del environment["SOURCE"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "the variable SOURCE is not set" in done.stderr
