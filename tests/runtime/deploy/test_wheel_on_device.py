"""A wheel becomes a device's own environment, from which the real segrt verifies and streams."""

import subprocess
import sys
from pathlib import Path

import pytest

from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.pack.writer import write_pack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_wheel_is_installed_on_the_device_and_kept(fleet, deploy, wheel: Path, tmp_path: Path) -> None:
    reached = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(tmp_path), "platformdirs"],
        capture_output=True, timeout=120,
    )  # fmt: skip
    if reached.returncode:
        pytest.skip("needs the package registry, which does not answer")
    camera = fleet.add("cam1")
    pack = write_pack(read_bundle("street-semantic"), tmp_path / "street.segrt").path
    words = (
        "--wheels", wheel.parent, "--offline", "--stream",
        "street://?seed=1&fps=5&width=320&height=180 --sink null --stall-timeout 2s --threads 1",
    )  # fmt: skip
    done = deploy(pack, "cam1", *words, environment=None, grace="60s")
    assert done.code == 0, done
    assert "copying segrt" in done.err
    (environment,) = (camera.root / "envs").iterdir()
    assert (camera.service / "current/env").resolve() == environment
    assert environment.name.startswith("segrt-0.1.0-")
    assert "100.0000% agree" in (camera.service / "current/verify.txt").read_text()
    where = [str(environment / "bin/python"), "-c", "import segrt.runtime; print(segrt.runtime.__file__)"]
    assert str(environment) in subprocess.run(where, check=True, capture_output=True, text=True).stdout
    made = (environment / "complete").stat().st_mtime
    done = deploy(pack, "cam1", *words[:-1], words[-1] + " --max-age 5s", environment=None, grace="60s")
    assert done.code == 0, done
    assert "copying" not in done.err, "wheel and pack are there already"
    assert (environment / "complete").stat().st_mtime == made
