"""What an engine must fit: the GPU of this device, or none when engines are built for others."""

from dataclasses import dataclass
from pathlib import Path

from segrt.runtime.errors import BackendError
from segrt.runtime.inference.cuda.interface import Cuda
from segrt.runtime.inference.engine_policy import BuildOptions
from segrt.runtime.inference.tensorrt.flavor import Flavor
from segrt.runtime.inference.tensorrt.rtx import target_names
from segrt.runtime.inference.tf32 import why_no_tf32

_OLDEST_DEFAULT = (8, 0)


@dataclass(frozen=True)
class Here:
    """This device: GPU name, compute capability ("8.7"), its memory and driver; all empty without a GPU."""

    gpu: str = ""
    sm: str = ""
    memory_mb: int = 0
    driver: str = ""

    @property
    def has_gpu(self) -> bool:
        """Whether engines can run here."""
        return bool(self.sm)


def look(cuda: Cuda | None) -> Here:
    """Describe the device that `cuda` is open on; None stands for no GPU."""
    if cuda is None:
        return Here()
    device = cuda.device
    return Here(device.name, device.sm, device.memory_mb, driver_version() or f"CUDA {device.cuda_driver}")


def driver_version(root: Path = Path("/")) -> str:
    """Return the version of the kernel's NVIDIA driver, "560.35.05"; "" where it does not say."""
    try:
        text = (root / "proc/driver/nvidia/version").read_text()
    except OSError:
        return ""
    words = text.split("\n", 1)[0].split()
    return next((word for word in words if word[:1].isdigit() and "." in word), "")


def targets_of(flavor: Flavor, options: BuildOptions, here: Here) -> tuple[str, ...]:
    """Return the compute capabilities that an engine with these options is for; () for plain TensorRT.

    TensorRT-RTX builds for Ampere (8.0) and everything later unless told otherwise (its page "CPU-Only AOT and
    TensorRT-RTX Engines"); for an older GPU in this device it must be told.
    """
    if not flavor.is_rtx:
        return ()
    if options.targets:
        return options.targets
    if here.has_gpu and sm_numbers(here.sm) < _OLDEST_DEFAULT:
        return (here.sm,)
    known = [sm for sm in target_names(flavor) if sm_numbers(sm) >= _OLDEST_DEFAULT]
    if here.has_gpu and here.sm not in known:
        known.append(here.sm)
    return tuple(known)


def refuse_gpu(flavor: Flavor, here: Here) -> None:
    """Raise BackendError when this TensorRT-RTX does not run on this GPU: it is for RTX GPUs, not for servers' ones.

    GPUs that are newer than all that it knows are let through; its engines carry code for those.
    """
    if not flavor.is_rtx or not here.has_gpu:
        return
    known = target_names(flavor)
    if here.sm not in known and sm_numbers(here.sm) < max(map(sm_numbers, known)):
        raise BackendError(
            f"{flavor} does not run on {here.gpu} (SM {here.sm}), only on SM {', '.join(known)}; install tensorrt"
        )


def refuse_tf32(sms: tuple[str, ...]) -> None:
    """Raise BackendError where one of these compute capabilities has no TF32."""
    for sm in sms:
        reason = why_no_tf32(sm or None)
        if reason is not None:
            raise BackendError(reason)


def sm_numbers(sm: str) -> tuple[int, int]:
    """Return (8, 7) for "8.7"."""
    major, _, minor = sm.partition(".")
    return int(major), int(minor or 0)
