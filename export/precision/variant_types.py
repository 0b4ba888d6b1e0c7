"""What is asked of variants, and what is known of one that was made."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segrt.export.bundling import VariantFile
from segrt.export.precision.judging import Verdict
from segrt.export.precision.layer_costs import Layer
from segrt.export.precision.search import Outcome
from segrt.export.precision.shares import Shares
from segrt.runtime.files.images import Picture

if TYPE_CHECKING:
    import onnx

Say = Callable[[str], None]
# The least mean agreement of a variant's final results with float32's.
LIMITS = {"fp16": 0.99, "int8": 0.95, "int8-cpu": 0.95}
_SHOWN = 12


@dataclass(frozen=True)
class VariantOptions:
    """How variants are made.

    calibration: pictures for int8. pictures: those that variants are compared with float32 on, uint8 BGR; without any
    some of the calibration pictures are held back for it. golden: the bundle's golden pictures, which the variant's
    own tolerance must allow for. keep: nodes or modules that stay in
    float32, as patterns ("*nms*", "head.boxes"); each must fit something, unless they are a family's own for all of its
    networks and sizes (`keep_must_fit`). limits: the least mean agreement by precision, where it is
    not that of `LIMITS`. search_steps, search_seconds: how long layers to keep are searched for; with 0 steps
    a variant that misses its limit is an error at once. trained: results of untrained networks say nothing, so theirs
    are measured and reported, but not asked to agree. progress: wraps the pictures that are calibrated with, to show
    how far it is. accept: asked instead of the limit, with the precision and the finished network, whether a variant
    is good enough.
    """

    calibration: Sequence[Path] = ()
    pictures: Sequence[Picture] = ()
    golden: Sequence[Picture] = ()
    keep: Sequence[str] = ()
    keep_must_fit: bool = True
    limits: Mapping[str, float] = field(default_factory=dict)
    search_steps: int = 200
    search_seconds: float = 300.0
    trained: bool = True
    threads: int = 0
    progress: Callable[[list[Picture], str], Iterable[Picture]] = lambda pictures, text: pictures  # noqa: ARG005
    accept: "Callable[[str, onnx.ModelProto], bool] | None" = None


@dataclass(frozen=True)
class KeptLayer:
    """A layer that stays in float32 because of the search: its share of the multiply-adds, the error that it makes."""

    layer: Layer
    share: float
    error: float


@dataclass(frozen=True)
class Made:
    """A variant's file, how it compares with float32, what share is at the precision, and what was kept and why."""

    file: VariantFile
    verdict: Verdict
    shares: Shares
    kept: tuple[KeptLayer, ...]
    outcome: Outcome | None

    def lines(self) -> list[str]:
        """Return what to tell the user, in lines."""
        name, verdict = self.file.precision, self.verdict
        extras = "" if verdict.matched is None else f", {verdict.matched:.2%} of the objects matched"
        extras += "" if verdict.quality is None else f", PQ of one against the other {verdict.quality:.4f}"
        weights = self.shares.weight_share(name)
        shares = f"{self.shares.mac_share(name):.1%} of the multiply-adds, {weights:.1%} of the weights"
        agrees = (
            f"{verdict.agreement:.2%} agreement with fp32 over {verdict.images} pictures, {verdict.worst:.2%} at worst"
        )
        lines = [f"{name}: {shares}; {agrees}{extras}"]
        for kept in self.kept[:_SHOWN]:
            reason = "overflows" if not np.isfinite(kept.error) else f"alone makes an error of {kept.error:.2g}"
            lines.append(
                f"{name}: {kept.layer.label} ({kept.layer.name}) stays in fp32: {reason}; {kept.share:.1%} of the "
                "multiply-adds"
            )
        if len(self.kept) > _SHOWN:
            lines.append(f"{name}: … and {len(self.kept) - _SHOWN} more layers stay in fp32")
        if self.outcome is not None and not self.outcome.finished:
            lines.append(
                f"{name}: the search ended after {self.outcome.steps} steps; with more, fewer layers might stay"
            )
        return lines
