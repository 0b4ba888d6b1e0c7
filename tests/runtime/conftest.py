"""The command line in this process."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "cli"))

from cli_calls import Segrt

from segrt.runtime import cli


@pytest.fixture
def segrt(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Segrt:
    """Call the command line in this process: arguments → (exit code, standard output, standard error)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["segrt", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capfd.readouterr()
        return code, out, err

    return call
