"""GroupNorm over large maps in ONNX, exact to float32's last digits.

torch's exporter writes it as InstanceNormalization, which ONNX Runtime's CPU sums up one number after the other: over
half a million of them the result is off by a thousandth, a thousand times more than torch's. Means of means, row by
row, stay short.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

_MOST_AT_ONCE = 1 << 14  # numbers in a group


def group_norm(
    op: Any,
    maps: Any,
    groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-05,
    cudnn_enabled: bool = True,  # noqa: ARG001 (torch's signature)
) -> Any:
    """Write torch's `aten::group_norm` of `maps` (N, C, h, w) with the operators of `op`, an opset of onnxscript."""
    from onnxscript.function_libs.torch_lib.ops.nn import aten_group_norm

    lengths = [dim if isinstance(dim, int) else 0 for dim in maps.shape]
    if len(lengths) != 4 or weight is None or bias is None or math.prod(lengths[1:]) // groups <= _MOST_AT_ONCE:
        return aten_group_norm(maps, groups, weight, bias, eps)
    channels, height, width = lengths[1:]

    def mean(rows: Any) -> Any:
        columns = op.Constant(value_ints=[3])
        others = op.Constant(value_ints=[2])
        return op.ReduceMean(op.ReduceMean(rows, columns, keepdims=1), others, keepdims=1)

    rows = op.Reshape(maps, op.Constant(value_ints=[0, groups, channels // groups * height, width]))
    centred = op.Sub(rows, mean(rows))
    deviation = op.Sqrt(op.Add(mean(op.Mul(centred, centred)), op.Constant(value_floats=[eps])))
    normed = op.Reshape(op.Div(centred, deviation), op.Constant(value_ints=[0, channels, height, width]))
    per_channel = op.Constant(value_ints=[1, channels, 1, 1])
    return op.Add(op.Mul(normed, op.Reshape(weight, per_channel)), op.Reshape(bias, per_channel))


@contextmanager
def exact_group_norm() -> Iterator[None]:
    """Let torch compute GroupNorm in float64 inside the block.

    In float32 its own is off by 3e-5 where a large map is nearly flat, as on a picture's padding: heads that are held
    to it would fail for being more exact. One entry of the batch is taken at a time, for DETR's masks have one a query.
    """
    plain, namespace = functional.group_norm, vars(functional)

    def exact(maps: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
        gain, shift = (None if values is None else values.double() for values in (weight, bias))
        normed = torch.empty_like(maps)
        for entry, target in zip(torch.split(maps, 1), torch.split(normed, 1), strict=True):
            target.copy_(plain(entry.double(), groups, gain, shift, eps))
        return normed

    namespace["group_norm"] = exact
    try:
        yield
    finally:
        namespace["group_norm"] = plain
