"""Makes one variant after the other of a network: converts, measures, searches where it misses, and writes the file."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from segrt.export.bundling import Network, VariantFile, default_tolerance
from segrt.export.graph.editing import require_onnx
from segrt.export.precision.graphs import Net
from segrt.export.precision.judging import Judge, Verdict
from segrt.export.precision.layer_costs import Layer
from segrt.export.precision.recipes import Recipe, make_recipe
from segrt.export.precision.search import Outcome, search
from segrt.export.precision.shares import Shares, measure_shares
from segrt.export.precision.variant_types import LIMITS, KeptLayer, Made, Say, VariantOptions
from segrt.runtime.bundle.manifest import HeadParity, HeadTolerance, Parity, Tolerance
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.errors import CheckFailed
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.tensors import DType

if TYPE_CHECKING:
    import onnx

# Below this share of the multiply-adds a variant is not what its name says.
LEAST_SHARE = 0.1
_SLACK = 0.05  # what `segrt verify` allows below the worst picture seen here


class Workshop:
    """What the variants of one network have in common."""

    def __init__(
        self,
        net: Net,
        layers: Sequence[Layer],
        network: Network,
        judge: Judge,
        golden: Judge | None,
        keep: Collection[str],
        calibration: Sequence[Picture],
        options: VariantOptions,
        say: Say,
    ) -> None:
        self.net, self.layers, self.network = net, layers, network
        self.judge, self.golden = judge, golden
        self.keep, self.options, self.say = frozenset(keep), options, say
        self._calibration = calibration

    def make(self, precision: str, folder: Path, source: Path) -> Made:
        """Make one variant."""
        self.say(f"making {precision}")

        def pictures() -> Iterable[Picture]:
            return self.options.progress(list(self._calibration), f"calibrating {precision}")

        recipe = make_recipe(
            precision, self.net, self.layers, self.keep, self.network, pictures, self.options.threads, str(source)
        )
        job = _Job(self, precision, recipe)
        kept: frozenset[int] = frozenset()
        outcome = None
        if not job.passes(kept):
            outcome = job.search()
            kept = outcome.kept
        verdict = job.verdict(kept)
        model = recipe.build(self.nodes(kept))
        shares = measure_shares(model)
        job.check(model, shares, verdict, kept)
        file = folder / f"model.{precision}.onnx"
        file.write_bytes(model.SerializeToString())
        entry = self._file(precision, file, recipe, model, shares, verdict, kept)
        return Made(entry, verdict, shares, self._kept_layers(kept, outcome), outcome)

    def nodes(self, kept: Collection[int]) -> set[str]:
        """Return the names of all nodes of the layers at the positions `kept`."""
        return {name for place in kept for name in self.layers[place].nodes}

    def _kept_layers(self, kept: Collection[int], outcome: Outcome | None) -> tuple[KeptLayer, ...]:
        total = sum(layer.macs for layer in self.layers) or 1
        errors = {place: entry.error for entry in (outcome.findings if outcome else ()) for place in entry.layers}
        listed = [
            KeptLayer(self.layers[place], self.layers[place].macs / total, errors.get(place, 0.0)) for place in kept
        ]
        return tuple(sorted(listed, key=lambda entry: -entry.error))

    def _head_tolerances(self, default: Mapping[str, HeadTolerance], verdict: Verdict) -> dict[str, HeadTolerance]:
        """Return the default tolerances of fp16's heads, wider where the measured are; none for reordered queries."""
        found = {}
        for name, tolerance in default.items() if self.options.trained else ():
            largest = (verdict.head_errors or {})[name][0]
            if largest <= tolerance.absolute:
                found[name] = tolerance
            elif tolerance.rows == "all" and np.isfinite(largest):
                found[name] = msgspec.structs.replace(tolerance, absolute=float(f"{2 * largest:.2g}"))
        return found

    def _file(
        self,
        precision: str,
        file: Path,
        recipe: Recipe,
        model: "onnx.ModelProto",
        shares: Shares,
        verdict: Verdict,
        kept: Collection[int],
    ) -> VariantFile:
        heads = {
            name: HeadParity(float(largest), float(mean))
            for name, (largest, mean) in (verdict.head_errors or {}).items()
            if np.isfinite(largest)
        }
        default = default_tolerance(self.network, precision)
        worst = min(verdict.worst, self.golden.judge(recipe.run(self.golden.feeds, kept)).worst if self.golden else 1.0)
        allowed = min(default.agreement, max(0.0, round(worst - _SLACK, 3)))
        return VariantFile(
            precision,
            file,
            tolerance=Tolerance(allowed, self._head_tolerances(default.heads, verdict)),
            head_dtypes=head_dtypes(model, self.network.heads),
            parity=Parity(
                verdict.images,
                verdict.worst,
                heads,
                matched=verdict.matched,
                pq=verdict.quality,
                against="fp32",
            ),
            precision_share=shares.mac_share(precision) if shares.total_macs else None,
            weight_share=shares.weight_share(precision),
            kept=tuple(self.layers[place].label for place in sorted(kept)),
        )


class _Job:
    """One variant in the making: whether a choice of kept layers is good enough, and the search for one that is."""

    def __init__(self, workshop: Workshop, precision: str, recipe: Recipe) -> None:
        self._shop, self._precision, self._recipe = workshop, precision, recipe
        self._limit = workshop.options.limits.get(precision, LIMITS[precision])
        self._known: dict[frozenset[int], bool] = {}

    def verdict(self, kept: Collection[int]) -> Verdict:
        """Return how the variant with `kept` in float32 compares with float32."""
        return self._shop.judge.judge(self._recipe.run(self._shop.judge.feeds, kept))

    def passes(self, kept: Collection[int]) -> bool:
        """Whether the variant with `kept` in float32 is good enough; asked once for each choice."""
        choice = frozenset(kept)
        if choice not in self._known:
            self._known[choice] = self._measure(choice)
        return self._known[choice]

    def _measure(self, kept: frozenset[int]) -> bool:
        options, verdict = self._shop.options, self.verdict(kept)
        if not verdict.is_finite:
            return False
        if options.accept is not None:
            return options.accept(self._precision, self._recipe.build(self._shop.nodes(kept)))
        return not options.trained or verdict.agreement >= self._limit

    def search(self) -> Outcome:
        """Find the layers to keep."""
        shop, verdict = self._shop, self.verdict(frozenset())
        why = f"only {verdict.agreement:.2%} agreement" if verdict.is_finite else "its heads overflow"
        shop.say(f"{self._precision}: {why}; searching for the layers that must stay in fp32")
        everything = frozenset(range(len(shop.layers)))
        return search(
            self._recipe.candidates,
            [layer.macs for layer in shop.layers],
            lambda low: shop.judge.error(self._recipe.probe(shop.judge.feeds, everything - low)),
            self.passes,
            steps=shop.options.search_steps,
            seconds=shop.options.search_seconds,
        )

    def check(self, model: "onnx.ModelProto", shares: Shares, verdict: Verdict, kept: Collection[int]) -> None:
        """Raise CheckFailed for a variant that is another precision in truth, or differs too much."""
        require_onnx().checker.check_model(model)
        share = shares.mac_share(self._precision) if shares.total_macs else shares.weight_share(self._precision)
        if share < LEAST_SHARE:
            why = "for with fewer of its layers in fp32 it differs too much" if kept else "for little else can be"
            advice = ", or calibrate with pictures like those it will see" if kept and "int8" in self._precision else ""
            raise CheckFailed(
                f"{self._precision}: only {share:.1%} of the multiply-adds would be at it, {why}; leave "
                f"{self._precision} out{advice}"
            )
        if not self.passes(kept):
            raise CheckFailed(
                f"{self._precision}: {verdict.agreement:.2%} agreement with fp32, but must have {self._limit:.2%}; "
                f"leave {self._precision} out"
            )


def head_dtypes(model: "onnx.ModelProto", heads: Sequence[HeadSpec]) -> dict[str, DType]:
    """Return the heads that are float16 in a variant, but not by the manifest."""
    wanted = {spec.name: spec.dtype for spec in heads}
    found: dict[str, DType] = {}
    for value in model.graph.output:
        if value.name in wanted and value.type.tensor_type.elem_type == 10 and wanted[value.name] != "float16":
            found[value.name] = "float16"
    return found
