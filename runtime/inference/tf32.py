"""TF32: float32 products whose factors are rounded to 10 bits of mantissa, which tensor cores compute since Ampere.

It is no property of a file: the fp32 file is executed so. segrt never does that unasked, for heads differ by about 2e-4
of their range, a thousand times what float32 gives; "tf32" is a precision of its own.
"""

from collections.abc import Sequence

FP32, TF32 = "fp32", "tf32"
_FIRST = (8, 0)


def executable(stored: Sequence[str]) -> tuple[str, ...]:
    """Return the precisions at which variants that are `stored` can be executed: tf32, too, where there is fp32."""
    return (*stored, TF32) if FP32 in stored and TF32 not in stored else tuple(stored)


def why_no_tf32(sm: str | None) -> str | None:
    """Return why TF32 cannot be had on a GPU of compute capability `sm` ("8.7"; None: no GPU), or None if it can."""
    if sm is None:
        return "precision tf32 needs an NVIDIA GPU, and this is the CPU; take --precision fp32"
    if not sm:
        return (
            "precision tf32 needs a GPU of compute capability 8.0 or newer, and without cuda-python this one's is not "
            "known; pip install 'segrt[gpu]'"
        )
    if tuple(int(part) for part in sm.split(".")) < _FIRST:
        return (
            f"precision tf32 needs a GPU of compute capability 8.0 or newer, and this one has {sm}; take fp32 or fp16"
        )
    return None
