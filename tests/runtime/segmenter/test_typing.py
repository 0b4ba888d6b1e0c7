"""Whoever checks types with mypy may write `result.segments`, and hears of results that have none."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_mypy_accepts_what_users_write_and_refuses_what_is_wrong(tmp_path: Path) -> None:
    """Strict mypy complains of an unused `type: ignore`, so that each line that must be refused is."""
    pytest.importorskip("mypy")
    (tmp_path / "segrt").mkdir()
    (tmp_path / "segrt" / "runtime").symlink_to(ROOT / "runtime")  # an editable install hides its types from mypy
    arguments = ["--follow-imports=silent", "--explicit-package-bases", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), *arguments,
         str(Path(__file__).with_name("typed_uses.py"))],
        cwd=tmp_path, env={"MYPYPATH": str(tmp_path)}, capture_output=True, text=True, timeout=250,
    )  # fmt: skip
    assert done.stdout.startswith("Success"), done.stdout + done.stderr
