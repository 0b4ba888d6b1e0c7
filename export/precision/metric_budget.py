"""What a variant costs on a validation set, in points of mIoU, AP or PQ below float32, and whether it may."""

import hashlib
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from segrt.export.precision.bundle_variants import float32_variant
from segrt.export.precision.variant_options import Say
from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.manifest import File, Tolerance, Variant
from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.by_technique import MAIN_METRIC
from segrt.runtime.evaluate.datasets.dataset import Dataset
from segrt.runtime.evaluate.measuring import Options
from segrt.runtime.evaluate.tuning import figure_of
from segrt.runtime.inference.execution import Execution

if TYPE_CHECKING:
    import onnx

_HUNDREDTHS = 100


@dataclass
class MetricBudget:
    """Judges variants of `bundle` by what they cost on `dataset`, at most `points` percentage points below float32.

    thresholds: those in force. judging: which classes count. allow: the option, with its value, that allows so many
    points. Its float32 variant is measured at once, on ONNX Runtime's CPU like all that follow.
    """

    bundle: Bundle
    dataset: Dataset
    points: float
    execution: Execution
    say: Say
    allow: Callable[[str], str]
    thresholds: dict[str, float] = field(default_factory=dict)
    judging: Options | None = None
    metric: str = field(default="", init=False)
    _wanted: float = field(default=0.0, init=False)
    _costs: dict[str, list[float]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Measure float32; raise SegrtError for data that do not fit the bundle."""
        self.execution = Execution("onnxruntime", threads=self.execution.threads, device="cpu")
        self.metric = MAIN_METRIC[self.bundle.manifest.technique].title
        self._wanted = self._figure(self.bundle, float32_variant(self.bundle).precision)
        if self._wanted <= 0:
            raise SegrtError(
                f"{self.dataset.path}: fp32 has no {self.metric} above 0 on it, by which no variant can be judged; see "
                "whether its classes are the network's (--common-classes, --map), or leave --annotations out"
            )
        self.say(f"fp32: {self.metric} {self._wanted:.4f} on {self.dataset.path}")

    def accepts(self, precision: str, model: "onnx.ModelProto") -> bool:
        """Whether a finished network costs no more than it may; measured on the whole data set."""
        with tempfile.TemporaryDirectory(prefix="segrt-budget-") as place:
            figure = self._figure(_trial(self.bundle, precision, model, Path(place)), precision)
        cost = 100 * (self._wanted - figure)
        self._costs.setdefault(precision, []).append(cost)
        self.say(f"{precision}: {self.metric} {figure:.4f}, {cost:+.2f} points below fp32")
        return cost <= self.points + 1e-9

    def shortfall(self, precision: str) -> str:
        """Return what the variant costs as it is, without a layer kept in float32, beside what it may."""
        cost = self._costs[precision][0]
        return f"{cost:.2f} points of {self.metric} below fp32 on {self.dataset.path} (may be {self.points:g})"

    def remedy(self, precision: str) -> str:
        """Return the option that would allow it so."""
        return self.allow(f"{math.ceil(_HUNDREDTHS * self._costs[precision][0]) / _HUNDREDTHS:g}")

    def _figure(self, bundle: Bundle, precision: str) -> float:
        where = replace(self.execution, precision=precision)
        return figure_of(bundle, self.dataset, self.thresholds, where, options=self.judging)


def _trial(bundle: Bundle, precision: str, model: "onnx.ModelProto", folder: Path) -> Bundle:
    """Return a bundle of one variant that is only there to be measured."""
    from segrt.export.precision.variant_maker import head_dtypes

    data = model.SerializeToString()
    file = File("model.onnx", len(data), hashlib.sha256(data).hexdigest())
    (folder / file.path).write_bytes(data)
    variant = Variant(precision, file, Tolerance(0.0), head_dtypes=head_dtypes(model, bundle.manifest.heads))
    return Bundle(folder, msgspec.structs.replace(bundle.manifest, variants=(variant,), golden=()))
