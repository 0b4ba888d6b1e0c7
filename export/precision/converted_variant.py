"""A variant that was made: its file, how it compares with float32, which layers stayed in float32 and why."""

from dataclasses import dataclass

import numpy as np

from segrt.export.bundling import VariantFile
from segrt.export.precision.float32_reference import Comparison
from segrt.export.precision.layer_costs import Layer
from segrt.export.precision.precision_counts import PrecisionCounts
from segrt.export.precision.search import SearchOutcome
from segrt.export.precision.speed import Speed, line_of

_SHOWN = 12


@dataclass(frozen=True)
class KeptLayer:
    """A layer that stays in float32 because of the search: its share of the multiply-adds, the error that it makes."""

    layer: Layer
    share: float
    error: float


@dataclass(frozen=True)
class ConvertedVariant:
    """A variant's file, how it compares with float32, what of it is at the precision, and what was kept and why.

    `outcome` is that of the search for layers to keep, None where none was needed; `speed` was measured on this CPU,
    None for a network too large to be timed there.
    """

    file: VariantFile
    comparison: Comparison
    counts: PrecisionCounts
    kept: tuple[KeptLayer, ...]
    outcome: SearchOutcome | None
    speed: Speed | None

    def lines(self) -> list[str]:
        """Return what to tell the user, in lines."""
        name, comparison = self.file.precision, self.comparison
        extras = "" if comparison.matched is None else f", {comparison.matched:.2%} of the objects matched"
        extras += "" if comparison.classes is None else f", {comparison.classes:.2%} overlap by class"
        extras += "" if comparison.quality is None else f", PQ of one against the other {comparison.quality:.4f}"
        weights = self.counts.weight_share(name)
        shares = f"{self.counts.mac_share(name):.1%} of the multiply-adds, {weights:.1%} of the weights"
        agrees = f"{comparison.agreement:.2%} agreement with fp32 over {comparison.images} pictures"
        lines = [f"{name}: {shares}; {agrees}, {comparison.worst:.2%} at worst{extras}"]
        lines.append(line_of(self.speed, name))
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
