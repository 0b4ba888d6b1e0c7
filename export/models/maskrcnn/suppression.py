"""Greedy non-maximum suppression with static shapes, exact for every input.

Greedy NMS keeps a box when no kept box of a higher score overlaps it:

    keep[j] = candidate[j] and not any(keep[i] and overlaps[i, j] for i < j)

This equation has one solution. Iterated from any start, `keep` is right for the first t boxes after t steps, because
box j depends on those before it alone: it ends at the solution after N steps at the latest. What is needed is the
longest chain in which each box stands or falls with the one before it. That is about ten on crowded pictures, but
neighbouring anchors on a smooth gradient of scores make chains of hundreds, so that no fixed number of steps is safe.
The steps are therefore repeated until nothing changes: one Loop node in ONNX, which TensorRT takes.
"""

from typing import Any

import torch
from torch import Tensor
from torch._higher_order_ops.while_loop import while_loop

_while_loop: Any = while_loop  # torch gives it no types


def greedy_keep(overlaps: Tensor, candidate: Tensor) -> Tensor:
    """Return which boxes greedy suppression keeps, bool (L, N).

    overlaps: bool (L, N, N), which pairs overlap too much; boxes come by descending score. L lists are independent.
    candidate: bool (L, N), which boxes take part.
    """
    count = overlaps.shape[-1]
    before = torch.triu(torch.ones(count, count, dtype=torch.bool), diagonal=1)
    # 0 and 1 as floats: their products and sums are exact in every precision, and a matrix product is quick everywhere.
    suppresses = (overlaps & before).float()
    allowed = candidate.float()

    def step(keep: Tensor) -> Tensor:
        suppressed = torch.matmul(keep[:, None], suppresses)[:, 0]
        return (suppressed < 0.5).float() * allowed

    keep = allowed
    if keep.is_meta:  # shapes alone count
        return step(keep) > 0.5
    if not torch.compiler.is_compiling():
        while not torch.equal(keep, keep := step(keep)):
            pass
        return keep > 0.5

    def goes_on(keep: Tensor, changed: Tensor) -> Tensor:  # noqa: ARG001
        return changed.clone()

    def body(keep: Tensor, changed: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG001
        following = step(keep)
        return following, (following - keep).abs().sum() > 0.5

    settled: Tensor
    settled, _ = _while_loop(goes_on, body, (step(keep), torch.ones((), dtype=torch.bool)))
    return settled > 0.5
