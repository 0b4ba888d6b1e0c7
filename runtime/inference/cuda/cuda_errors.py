"""What goes wrong in CUDA: every failed call is an exception with the call's name and CUDA's own text.

After some errors the device's context is lost: every further call of the process fails with the same error, whatever
it does (CUDA Runtime API, "cudaError_t": "This leaves the process in an inconsistent state"). Nothing but a new
process helps, so these end the program with an exit code of their own, for a supervisor to start it again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from segrt.runtime.errors import BackendError, DeviceLostError

_STICKY_NAMES = frozenset(
    {
        "cudaErrorECCUncorrectable",
        "cudaErrorNvlinkUncorrectable",
        "cudaErrorIllegalAddress",
        "cudaErrorLaunchTimeout",
        "cudaErrorContextIsDestroyed",
        "cudaErrorAssert",
        "cudaErrorHardwareStackError",
        "cudaErrorIllegalInstruction",
        "cudaErrorMisalignedAddress",
        "cudaErrorInvalidAddressSpace",
        "cudaErrorInvalidPc",
        "cudaErrorLaunchFailure",
        "cudaErrorTensorMemoryLeak",
        "cudaErrorContained",
        "cudaErrorUnknown",
    }
)
# CUDA's texts for the same, for those who report a text alone: pycuda, TensorRT, ONNX Runtime.
_STICKY_TEXTS = (
    "illegal memory access",
    "unspecified launch failure",
    "launch timed out",
    "misaligned address",
    "illegal instruction",
    "hardware stack error",
    "invalid program counter",
    "not supported on global/shared address space",
    "device-side assert",
    "uncorrectable ecc",
    "uncorrectable nvlink",
    "context is destroyed",
)
_MEMORY_TEXTS = ("out of memory", "outofmemory", "cudaerrormemoryallocation", "failed to allocate memory")


class CudaError(BackendError):
    """A CUDA call that failed: `call` ("cudaMalloc"), `code` ("cudaErrorMemoryAllocation", "" if unknown), `text`."""

    def __init__(self, call: str, code: str, text: str, remedy: str = "") -> None:
        self.call, self.code, self.text = call, code, text
        named = f" ({code})" if code else ""
        super().__init__(f"{call} failed: {text}{named}{f'; {remedy}' if remedy else ''}")

    @property
    def is_sticky(self) -> bool:
        """Whether the device is lost for this process."""
        return self.code in _STICKY_NAMES or is_sticky_text(self.text)

    @property
    def is_out_of_memory(self) -> bool:
        """Whether the device has too little memory."""
        return self.code == "cudaErrorMemoryAllocation" or is_memory_text(self.text)


def is_sticky_text(text: str) -> bool:
    """Whether an error text of CUDA, or one that quotes it, says that the device is lost."""
    lower = text.lower()
    return any(sign in lower for sign in _STICKY_TEXTS)


def is_memory_text(text: str) -> bool:
    """Whether an error text of CUDA, or one that quotes it, says that the device's memory is used up."""
    lower = text.lower()
    return any(sign in lower for sign in _MEMORY_TEXTS)


def lost(what: str, reason: str) -> DeviceLostError | None:
    """Return the error that ends the process when `reason` says that `what` ("tensorrt") cannot go on, else None."""
    if is_sticky_text(reason):
        return _lost(what, reason)
    if is_memory_text(reason):
        return DeviceLostError(
            f"{what}: the GPU ran out of memory while running ({reason}); "
            "end other programs on the GPU, or take a smaller network"
        )
    return None


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn an error in the block that the process cannot survive into the one that ends it; `what` is the backend."""
    try:
        yield
    except BackendError as error:
        if isinstance(error, DeviceLostError):
            raise
        is_sticky = isinstance(error, CudaError) and error.is_sticky
        fatal = _lost(what, str(error)) if is_sticky else lost(what, str(error))
        if fatal is not None:
            raise fatal from error
        raise


def _lost(what: str, reason: str) -> DeviceLostError:
    return DeviceLostError(f"{what}: the GPU is lost for this process ({reason}); start it again")
