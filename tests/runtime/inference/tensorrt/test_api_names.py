"""Every name of TensorRT that segrt uses is in the Python bindings of all versions that are served.

The names are read from segrt's own source. `tensorrt_rtx` is asked itself. The bindings of `tensorrt` install without
NVIDIA's libraries, but cannot be imported so: their compiled module is searched for the names, which pybind11 keeps as
C strings (of which linkers keep one that ends like another only once). They are fetched once, into the user's cache.
"""

import ast
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import platformdirs
import pytest

RUNTIME = Path(__file__).resolve().parents[4] / "runtime"
VERSIONS = {
    "10.3.0": "JetPack 6.2",
    "10.13.3.9": "JetPack 7",
    "11.4.0.106": "desktop",
}
# file: {expression: the class of TensorRT that it holds, "" for the module itself}
OBJECTS = {
    "inference/tensorrt/messages.py": {"api": ""},
    "inference/tensorrt/parsing.py": {
        "api": "",
        "flavor.api": "",
        "builder": "Builder",
        "parser": "OnnxParser",
        "parsed.network": "INetworkDefinition",
        "self.network": "INetworkDefinition",
        "layer": "ILayer",
        "tensor": "ITensor",
        "error": "ParserError",
    },
    "inference/tensorrt/building.py": {
        "api": "",
        "builder": "Builder",
        "parsed.builder": "Builder",
        "parsed.network": "INetworkDefinition",
        "config": "IBuilderConfig",
        "profile": "IOptimizationProfile",
    },
    "inference/tensorrt/layer_precisions.py": {"network": "INetworkDefinition", "layer": "ILayer", "output": "ITensor"},
    "inference/tensorrt/loading.py": {
        "flavor.api": "",
        "self.flavor.api": "",
        "self._runtime": "Runtime",
        "engine": "ICudaEngine",
        "self.engine": "ICudaEngine",
        "inspector": "EngineInspector",
    },
    "inference/tensorrt/gpu_slot.py": {"self._context": "IExecutionContext", "context": "IExecutionContext"},
    "inference/tensorrt/layer_timer.py": {"api": "", "context": "IExecutionContext"},
    "inference/tensorrt/engine_backend.py": {"self._loaded.engine": "ICudaEngine"},
}
RTX_ONLY = {
    "inference/tensorrt/rtx.py": {
        "flavor.api": "",
        "config": "IBuilderConfig",
        "runtime_config": "IRuntimeConfig",
        "self._engine": "ICudaEngine",
        "engine": "ICudaEngine",
        "self._cache": "IRuntimeCache",
    }
}
# The constructor's `engine` in loading.py is segrt's own, `layer` in precisions.py also a dict of the inspector's JSON.
OWN = {"path", "record", "plan", "get"}


def uses(files: dict[str, dict[str, str]]) -> Iterator[tuple[str, ...]]:
    """Yield the path of each use from the module down, ("TensorIOMode", "INPUT") or ("Builder", "create_network")."""
    for name, objects in files.items():
        tree = ast.parse((RUNTIME / name).read_text())
        seen = set()
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute):
                continue
            expression = ast.unparse(node.value)
            if expression in objects and node.attr not in OWN:
                seen.add(expression)
                yield tuple(filter(None, (objects[expression], node.attr)))
            for prefix in (key for key, value in objects.items() if value == ""):
                if expression.startswith(f"{prefix}."):
                    yield (*expression.removeprefix(f"{prefix}.").split("."), node.attr)
        unused = set(objects) - seen - {key for key in objects if key.startswith(("engine", "flavor.api"))}
        assert not unused, f"{name} has no {unused} any more"


def test_there_are_names_to_check() -> None:
    found = set(uses(OBJECTS))
    assert {
        ("Builder", "build_serialized_network"),
        ("Runtime", "deserialize_cuda_engine"),
        ("IExecutionContext", "execute_async_v3"),
        ("IExecutionContext", "set_tensor_address"),
        ("TensorIOMode", "INPUT"),
        ("ILogger", "Severity", "ERROR"),
    } <= found
    assert len(found) > 40


def test_tensorrt_rtx_has_every_name() -> None:
    rtx = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    rtx_only = set(uses(RTX_ONLY))
    assert ("IRuntimeCache", "serialize") in rtx_only
    for path in sorted(set(uses(OBJECTS)) | rtx_only):
        place = rtx
        for name in path:
            assert hasattr(place, name), f"tensorrt_rtx has no {'.'.join(path)}"
            place = getattr(place, name)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_bindings_of_tensorrt_have_every_name(version: str) -> None:
    strings = compiled_bindings(version)
    missing = {
        ".".join(path)
        for path in uses(OBJECTS)
        for name in path
        if not name.startswith("__") and name.encode() + b"\0" not in strings
    }
    assert not missing, f"tensorrt {version} ({VERSIONS[version]}) lacks {sorted(missing)}"


def test_the_search_would_notice_a_name_that_a_version_lacks() -> None:
    assert b"build_serialized_network\0" in compiled_bindings("10.3.0")
    assert b"set_runtime_cache\0" not in compiled_bindings("10.3.0")
    assert b"SAME_COMPUTE_CAPABILITY\0" not in compiled_bindings("10.3.0")


@cache
def compiled_bindings(version: str) -> bytes:
    """Return the compiled module of `tensorrt`'s bindings; skip where its wheel can be had neither here nor there."""
    folder = Path(platformdirs.user_cache_dir("segrt-tests", appauthor=False)) / "tensorrt-bindings"
    name = f"tensorrt_cu12_bindings-{version}-cp310-*.whl"
    if not list(folder.glob(name)):
        fetch(version, folder)
    with zipfile.ZipFile(next(folder.glob(name))) as wheel:
        return wheel.read("tensorrt_bindings/tensorrt.so")


def fetch(version: str, folder: Path) -> None:
    """Let pip fetch the wheel for Python 3.10 on x86-64, whatever this machine is."""
    platforms = [f"--platform=manylinux_{glibc}_x86_64" for glibc in ("2_17", "2_28")]
    command = [
        sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--no-deps",
        "--only-binary=:all:", "--python-version=3.10", "--implementation=cp", *platforms, f"--dest={folder}",
        f"tensorrt-cu12-bindings=={version}",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"the bindings of tensorrt {version} cannot be fetched: {error}")
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["pip gives no reason"])[-1]
        pytest.skip(f"the bindings of tensorrt {version} cannot be fetched: {last}")
