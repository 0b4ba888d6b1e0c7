"""The fp32 variant as it is executed in TF32: the same file, and what may differ then."""

import msgspec

from segrt.runtime.bundle.manifest import HeadTolerance, Tolerance, Variant
from segrt.runtime.inference.tf32 import TF32

# TF32 rounds factors as float16 does, to 10 bits of mantissa, but neither sums nor what lies between layers: its limits
# are those of fp16 variants, half as wide.
_AGREEMENT = 0.99
_ABSOLUTE, _RELATIVE, _OUTLIERS = 2.5e-2, 1e-2, 1e-3


def tf32_of(fp32: Variant) -> Variant:
    """Return variant `fp32` at precision tf32; limits of its own that are wider stay."""
    agreement = min(fp32.tolerance.agreement, _AGREEMENT)
    heads = {name: _widened(head) for name, head in fp32.tolerance.heads.items()}
    return msgspec.structs.replace(fp32, precision=TF32, tolerance=Tolerance(agreement, heads), parity=None)


def _widened(head: HeadTolerance) -> HeadTolerance:
    if head.absolute == 0 and head.relative == 0:  # classes, which are equal or not
        return msgspec.structs.replace(head, outliers=max(head.outliers, 1 - _AGREEMENT))
    return msgspec.structs.replace(
        head,
        absolute=max(head.absolute, _ABSOLUTE),
        relative=max(head.relative, _RELATIVE),
        outliers=max(head.outliers, _OUTLIERS),
    )
