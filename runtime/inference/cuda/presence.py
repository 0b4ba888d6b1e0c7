"""Whether this device has an NVIDIA GPU, from the kernel's files alone: nothing is loaded."""

from pathlib import Path

_DESKTOP = "dev/nvidia[0-9]*"
_PLACES = (_DESKTOP, "dev/nvhost-gpu", "dev/nvgpu/*", "dev/dxg", "proc/driver/nvidia/gpus/*")


def gpu_files(root: Path = Path("/")) -> tuple[str, ...]:
    """Return the kernel's files that stand for a GPU: a desktop driver's, Jetson's, or WSL's."""
    return tuple(f"/{path.relative_to(root)}" for place in _PLACES for path in sorted(root.glob(place)))


def why_no_gpu(root: Path = Path("/")) -> str | None:
    """Return why there is no NVIDIA GPU to see here, or None when there is one."""
    if gpu_files(root):
        return None
    if _in_container(root):
        return "no NVIDIA GPU is visible in this container; start it with `--gpus all` or `--runtime nvidia`"
    return "this device has no NVIDIA GPU with a driver"


def _in_container(root: Path) -> bool:
    return (root / ".dockerenv").exists() or (root / "run/.containerenv").exists()
