"""Finds heads that hold NaN or infinity: a network that overflows says nothing itself."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from segrt.runtime.inference.tensors import Head

_HALF_EXPONENT = np.uint16(0x7C00)


def count_nonfinite(heads: "Mapping[str, Head]", index: int = 0) -> int:
    """Return how many of the floating-point heads on the host hold NaN or infinity in place `index` of the batch."""
    count = 0
    for head in heads.values():
        if head.device != "cpu" or head.array.dtype.kind != "f":
            continue
        array = head.array[index]
        if array.dtype == np.float16:
            # All exponent bits set is NaN or infinity (IEEE 754); halves are slow to add up on a CPU.
            finite = not np.any((array.view(np.uint16) & _HALF_EXPONENT) == _HALF_EXPONENT)
        else:
            # One NaN or infinity makes the sum one; a sum that overflowed by itself is looked at again.
            with np.errstate(all="ignore"):
                finite = bool(np.isfinite(array.sum())) or bool(np.isfinite(array).all())
        count += not finite
    return count
