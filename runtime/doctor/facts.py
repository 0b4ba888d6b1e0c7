"""What was seen on a device, put together from its answers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from segrt.runtime.doctor.kinds import Kind, kinds_in
from segrt.runtime.doctor.machine import Machine

SystemKind = Literal["jetson", "debian", "other"]

# Jetson Linux (L4T): JetPack, from NVIDIA's JetPack archive page; the newest line that is not above a release counts.
_JETPACKS = (
    ((38, 4, 0), "7.1"),
    ((38, 2, 0), "7.0"),
    ((36, 4, 4), "6.2.1"),
    ((36, 4, 3), "6.2"),
    ((36, 4, 0), "6.1"),
    ((36, 3, 0), "6.0"),
    ((35, 1, 0), "5.x"),
)
_GPU_FILES = ("/dev/nvidia[0-9]*", "/dev/nvhost-gpu", "/dev/nvgpu/*", "/dev/dxg")
_SYSTEM_TENSORRT = "/usr/lib/python3*/dist-packages/tensorrt"


@dataclass(frozen=True)
class Facts:
    """What a device has. Empty strings, 0 and empty tuples stand for what was not found.

    `jetpack` is "6.2" for instance, `l4t` "36.4.3"; `driver_cuda` the newest CUDA that the driver knows; probes'
    answers are kept as they came. `kinds` are the registered backends, sources and sinks.
    """

    kind: SystemKind
    system: str
    board: str
    l4t: str
    jetpack: str
    power_mode: str
    memory_mb: int
    free_memory_mb: int
    gpu_files: tuple[str, ...]
    in_container: bool
    driver: str
    driver_cuda: str
    system_tensorrt: tuple[str, ...]
    python: Mapping[str, Any]
    packages: Mapping[str, Any]
    tensorrt: Mapping[str, Any]
    tensorrt_rtx: Mapping[str, Any]
    cuda: Mapping[str, Any]
    kernels: Mapping[str, Any]
    onnxruntime: Mapping[str, Any]
    opencv: Mapping[str, Any]
    gstreamer: Mapping[str, Any]
    video: Mapping[str, Any]
    core: Mapping[str, Any]
    disk: Mapping[str, Any]
    kinds: tuple[Kind, ...] = ()
    kinds_error: str = ""

    @property
    def has_gpu(self) -> bool:
        """Whether the kernel shows an NVIDIA GPU."""
        return bool(self.gpu_files)

    @property
    def python_version(self) -> tuple[int, int]:
        """The version of Python, (3, 10)."""
        major, minor = str(self.python.get("version", "0.0")).split(".")[:2]
        return int(major), int(minor)

    @property
    def cuda_major(self) -> int:
        """The major version of CUDA that packages must be for, 0 where nothing tells."""
        version = self.driver_cuda or ("12" if self.jetpack.startswith("6") else "13" if self.jetpack else "")
        return int(version.split(".")[0]) if version else 0


def gather(machine: Machine) -> Facts:
    """Ask `machine` everything."""
    release = machine.read("/etc/os-release") or ""
    l4t = _l4t(machine.read("/etc/nv_tegra_release") or "")
    memory = machine.read("/proc/meminfo") or ""
    names = (
        "python", "tensorrt", "tensorrt_rtx", "kernels", "onnxruntime", "opencv", "gstreamer", "video", "core", "disk"
    )  # fmt: skip
    machine.prefetch(("cuda", "kinds", "packages", *names))
    cuda = machine.probe("cuda")
    kinds, kinds_error = _kinds(machine)
    return Facts(
        kind="jetson" if l4t else "debian" if re.search(r"^(ID|ID_LIKE)=.*(debian|ubuntu)", release, re.M) else "other",
        system=_first(r'^PRETTY_NAME="?([^"\n]*)', release),
        board=(machine.read("/proc/device-tree/model") or "").strip() if l4t else "",
        l4t=l4t,
        jetpack=_jetpack(l4t, machine.run("dpkg-query -W -f=${Version} nvidia-jetpack") if l4t else None),
        power_mode=_first(r"NV Power Mode: *(\S+)", machine.run("nvpmodel -q") or "") if l4t else "",
        memory_mb=int(_first(r"^MemTotal: *(\d+)", memory) or 0) >> 10,
        free_memory_mb=int(_first(r"^MemAvailable: *(\d+)", memory) or 0) >> 10,
        gpu_files=tuple(path for pattern in _GPU_FILES for path in machine.glob(pattern)),
        in_container=bool(machine.glob("/.dockerenv") or machine.glob("/run/.containerenv")),
        driver=_first(r"Module.*?\s([0-9]+\.[0-9.]+)\s", machine.read("/proc/driver/nvidia/version") or ""),
        driver_cuda=str(cuda.get("driver_cuda", "")) or _driver_cuda(machine, str(cuda.get("cuda_error", ""))),
        system_tensorrt=tuple(machine.glob(_SYSTEM_TENSORRT)),
        cuda=cuda,
        packages=_packages(machine, kinds),
        kinds=kinds,
        kinds_error=kinds_error,
        **{name: machine.probe(name) for name in names},
    )


def _kinds(machine: Machine) -> tuple[tuple[Kind, ...], str]:
    """Return the registered kinds, or why they cannot be told."""
    answer = machine.probe("kinds")
    if "error" in answer:
        return (), str(answer["error"])
    return kinds_in(answer, added=False) + kinds_in(machine.added_kinds(), added=True), ""


def _packages(machine: Machine, kinds: Sequence[Kind]) -> Mapping[str, Any]:
    """Return the versions of the packages that segrt and these kinds can use."""
    packages = machine.probe("packages")
    needs = [kind.needs for kind in kinds if kind.needs]
    needed = dict.fromkeys(package for need in needs for package in need.packages if package not in packages)
    if not needed:
        return packages
    versions = machine.probe(" ".join(("versions", *needed)))
    return {**packages, **{package: versions.get(package) for package in needed}}


def _driver_cuda(machine: Machine, error: str) -> str:
    """Find the driver's CUDA in an error that names it, in nvidia-smi, or in JetPack's own file."""
    return (
        _first(r"the driver for ([0-9.]+)", error)
        or _first(r"CUDA Version: *([0-9.]+)", machine.run("nvidia-smi") or "")
        or _first(
            r'"cuda" *: *\{[^}]*"version" *: *"([0-9]+\.[0-9]+)', machine.read("/usr/local/cuda/version.json") or ""
        )
    )


def _l4t(text: str) -> str:
    """Return "36.4.3" for "# R36 (release), REVISION: 4.3, ..."."""
    match = re.search(r"# R(\d+) \(release\), REVISION: ([\d.]+)", text)
    return f"{match[1]}.{match[2]}" if match else ""


def _jetpack(l4t: str, package: str | None) -> str:
    """Return JetPack's version by its package, else by that of Jetson Linux."""
    if package:
        return package.split("+")[0].split("-")[0].strip()
    if not l4t:
        return ""
    numbers = tuple(int(part) for part in l4t.split("."))
    return next((name for least, name in _JETPACKS if numbers >= least), "")


def _first(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1].strip() if match else ""
