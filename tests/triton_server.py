"""A real Triton server for tests: the one that the wheel of nvidia-pytriton holds, with its Python backend.

`make` puts the wheel's files into `.venv/triton` (SEGRT_TRITON names another folder), without what it depends on: the
server's binary needs none of it. The wheel has a stub of the Python backend for each of Python 3.8 to 3.13; that for
3.13 brings its libpython, the others load the interpreter's own.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from contextlib import suppress
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("SEGRT_TRITON", Path(sys.prefix) / "triton"))
_ROOM = FOLDER / "pytriton" / "tritonserver"
_STUB = _ROOM / "python_backend_stubs" / f"{sys.version_info[0]}.{sys.version_info[1]}" / "triton_python_backend_stub"
_START_SECONDS = 90.0


def why_not() -> str | None:
    """Return why there is no server here, None where there is one."""
    try:
        import tritonclient.grpc  # noqa: F401
    except ImportError:
        return "tritonclient is not here: pip install 'segrt[triton]'"
    if not _STUB.exists():
        return f"no Triton server at {FOLDER}: pip install --no-deps --target {FOLDER} nvidia-pytriton"
    name = f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so.1.0"
    if sys.version_info < (3, 13) and not any((folder / name).exists() for folder in _library_folders()):
        return f"the server's stub needs {name}, which this Python was built without"
    return None


def _library_folders() -> list[Path]:
    """Return where the interpreter's shared library may lie."""
    folder, system = Path(str(sysconfig.get_config_var("LIBDIR"))), str(sysconfig.get_config_var("MULTIARCH") or "")
    return [folder, folder / system, Path("/usr/lib") / system]


class TritonServer:
    """A server of the models in `repository`, in a process group of its own; a context manager that waits for it."""

    def __init__(self, repository: Path, work: Path, *, port: int | None = None) -> None:
        if (reason := why_not()) is not None:
            pytest.skip(reason)
        self.port = port or free_port()
        self.log = work / "server.log"
        self._repository, self._backends = repository, work / "backends"
        if not self._backends.exists():
            shutil.copytree(_ROOM / "backends", self._backends)
            shutil.copy2(_STUB, self._backends / "python")
        self._process: subprocess.Popen[bytes] | None = None

    def address(self, model: str, query: str = "") -> str:
        """Return the address of a model."""
        return f"triton://127.0.0.1:{self.port}/{model}" + (f"?{query}" if query else "")

    def start(self) -> None:
        """Start it and wait until all models are there; fail with its log where they are not."""
        libraries = [str(FOLDER / "nvidia_pytriton.libs"), str(sysconfig.get_config_var("LIBDIR"))]
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "LD_LIBRARY_PATH": os.pathsep.join([*libraries, os.environ.get("LD_LIBRARY_PATH", "")]),
            "OMP_NUM_THREADS": "1",
            "SEGRT_CACHE": str(self._backends.parent / "cache"),
        }
        options = {
            "model-repository": self._repository, "backend-directory": self._backends, "grpc-port": self.port,
            "grpc-address": "127.0.0.1", "allow-http": "false", "allow-metrics": "false",
            "disable-auto-complete-config": None, "exit-timeout-secs": 5,
        }  # fmt: skip
        words = [f"--{name}" + ("" if value is None else f"={value}") for name, value in options.items()]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [_ROOM / "bin" / "tritonserver", *words],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail("\n".join(self.log.read_text(errors="replace").splitlines()[-30:]))
            time.sleep(0.05)

    def kill(self) -> None:
        """End it and the processes of its models at once, as a loss of power would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        for left in Path("/dev/shm").glob("triton_python_backend_shm_region_*"):
            if not _in_use(left):
                left.unlink(missing_ok=True)

    def __enter__(self) -> "TritonServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _is_ready(self) -> bool:
        import tritonclient.grpc as grpc

        try:
            with grpc.InferenceServerClient(f"127.0.0.1:{self.port}") as client:
                return bool(client.is_server_ready(client_timeout=2.0))
        except Exception:
            return False


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _in_use(path: Path) -> bool:
    """Whether a process has mapped `path`."""
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):  # it has ended
            if path.name in maps.read_text():
                return True
    return False
