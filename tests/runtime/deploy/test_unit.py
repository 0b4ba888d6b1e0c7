"""The unit that is written is one that systemd takes, and runs what was asked for."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from segrt.runtime.cli import main
from segrt.runtime.deploy.unit import UnitOptions, unit_text
from segrt.runtime.errors import SegrtError

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples/segrt-stream.service"
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd: apt-get install systemd"
)


def verify(path: Path, *, user: bool = False) -> str:
    """Return what `systemd-analyze verify` complains about."""
    command = ["systemd-analyze", "verify", *(["--user"] if user else []), str(path)]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(path.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    complaints = [line for line in done.stderr.splitlines() if path.name in line]
    return "\n".join(complaints) or ("" if done.returncode == 0 else done.stderr)


@needs_systemd
@pytest.mark.parametrize(
    "options",
    [
        UnitOptions(),
        UnitOptions(name="door", user="daemon", groups=(), memory="50%", environment_file="/etc/segrt/door.env"),
        UnitOptions(for_user=True, cache="%h/cache", writable=("/tmp/with space",), folder="/tmp/with space/work"),
    ],
    ids=["default", "own user", "for user"],
)
def test_systemd_takes_the_unit(options: UnitOptions, tmp_path: Path) -> None:
    words = ["/bin/sh", "-c", 'a "quoted" \\ 100% $word', "${CAMERA}", "rtsp://${CAMERA}/a?b=c&d"]
    path = tmp_path / f"{options.name}.service"
    path.write_text(unit_text(options, words, before=["/bin/true", "recover"]))
    assert verify(path, user=options.for_user) == ""
    path.write_text(path.read_text().replace("Restart=always", "Restart=sometimes"))
    assert "sometimes" in verify(path, user=options.for_user), "the check finds what is wrong"


def test_the_unit_guards_the_system_and_watches_the_service() -> None:
    lines = unit_text(UnitOptions(memory="800M", watchdog=30), ["/bin/true"]).splitlines()
    wanted = {
        "Type=notify", "WatchdogSec=30", "Restart=always", "DynamicUser=yes", "ProtectSystem=strict", "MemoryMax=800M",
        "NoNewPrivileges=yes", "StateDirectory=segrt-stream", "WorkingDirectory=%S/segrt-stream",
    }  # fmt: skip
    assert wanted <= set(lines)
    assert "User=camera" in unit_text(UnitOptions(user="camera"), ["/bin/true"])


def test_words_are_taken_literally_and_no_variable_gets_into_arguments() -> None:
    text = unit_text(UnitOptions(), ["/bin/true", "${CAMERA}", "50%", "a b", '"', "$HOME", "back\\slash", ""])
    (line,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    assert line == r'ExecStart=/bin/true $${CAMERA} 50%% "a b" "\"" $$HOME "back\\slash" ""'


@pytest.mark.parametrize(
    ("options", "words", "why"),
    [
        (UnitOptions(name="a b"), [], "a service's name must be letters, digits"),
        (UnitOptions(name="a.service"), [], "a service's name must be"),
        (UnitOptions(memory="2 GB"), [], "the memory limit must be as 800M, 2G, 50% or infinity, but got '2 GB'"),
        (UnitOptions(user="root; evil"), [], "a user or group must be a name as in /etc/passwd"),
        (UnitOptions(description="x\nExecStart=/bin/evil"), [], "holds a control character"),
        (UnitOptions(), ["a\nb"], "holds a control character"),
        (UnitOptions(writable=("relative",)), [], "relative: must be an absolute path in a unit"),
    ],
)
def test_what_systemd_would_not_take_is_refused(options: UnitOptions, words: list[str], why: str) -> None:
    with pytest.raises(SegrtError, match=why):
        unit_text(options, ["/bin/true", *words])


def service(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["/opt/segrt/bin/segrt", "service", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0), *capsys.readouterr()


def test_the_example_is_what_its_first_lines_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = EXAMPLE.read_text().splitlines()
    head = [line[1:].strip() for line in lines if line.startswith("#  ")]
    start = head.index(next(line for line in head if line.startswith("segrt service ")))
    command = " ".join(line.rstrip("\\") for line in head[start : start + 3])
    _, _, *words = shlex.split(command)
    code, out, err = service(monkeypatch, capsys, *words)
    assert (code, err) == (0, "")
    body = EXAMPLE.read_text().split("[Unit]", 1)[1]
    assert "[Unit]" + body == out, "write it again with the command in its first lines"


def test_service_writes_a_file_and_refuses_what_stream_would(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "door.service"
    words = ("--name", "door", "--out", str(out), "street-panoptic", "${CAMERA}", "--sink", "null")
    assert service(monkeypatch, capsys, *words)[0] == 0
    assert "stream street-panoptic $${CAMERA} --sink null" in out.read_text()
    assert service(monkeypatch, capsys, *words)[0] == 0, "its own unit is written again"
    out.write_text("[Unit]\nDescription=somebody's own\n")
    code, _, err = service(monkeypatch, capsys, *words)
    assert (code, err.count("\n"), "is no unit that segrt wrote" in err) == (2, 1, True)
    assert "somebody's own" in out.read_text()
    code, _, err = service(monkeypatch, capsys, "street-panoptic", "${CAMERA}", "--no-such-option")
    assert (code, "No such option" in err) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ["rtsp://user:secret@192.0.2.7/a"],
        ["${CAMERA}", "--sink", "mqtt://user:secret@broker/topic"],
        ["${CAMERA}", "--sink=http://h:80/?token=secret"],
        ["${CAMERA}", "--token", "secret"],
        ["${CAMERA}", "--token=secret"],
    ],
)
def test_passwords_are_sent_to_the_environment_file_and_never_repeated(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = service(monkeypatch, capsys, "street-panoptic", *words)
    assert (code, out) == (2, "")
    assert "environment file" in err
    assert "secret" not in err
