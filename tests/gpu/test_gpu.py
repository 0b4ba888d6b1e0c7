"""The GPU's scripts: in full where there is a GPU, else that they say why not.

Their parts run on an emulated GPU in tests/cuda_kernels.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from segrt.runtime.inference.cuda.presence import why_no_gpu


def run_script(out: Path) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).with_name("run.sh")
    environment = os.environ | {"PYTHON": sys.executable}
    command = [str(script), "--quick", "--frames", "20", "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment, check=False)


@pytest.mark.skipif(why_no_gpu() is not None, reason=why_no_gpu() or "")
def test_engines_run_and_agree_on_this_gpu(tmp_path: Path) -> None:
    done = run_script(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "results.json").read_bytes())
    assert found["failures"] == []


@pytest.mark.skipif(why_no_gpu() is None, reason="there is a GPU here")
def test_without_a_gpu_the_script_says_so_and_is_no_failure(tmp_path: Path) -> None:
    done = run_script(tmp_path / "results")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"skipped: {why_no_gpu()}\n"
    assert not (tmp_path / "results").exists()
