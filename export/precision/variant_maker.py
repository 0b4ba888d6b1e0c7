"""Makes variants of a network: converts it, compares it with float32, searches for layers to keep, writes the file."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from segrt.export.bundling import Network, VariantFile, default_tolerance
from segrt.export.graph.editing import require_onnx
from segrt.export.precision.converted_variant import ConvertedVariant, KeptLayer
from segrt.export.precision.converters import Converter, make_converter
from segrt.export.precision.float32_reference import Comparison, Float32Reference
from segrt.export.precision.indexed_graph import IndexedGraph
from segrt.export.precision.int8_recipes import Task
from segrt.export.precision.layer_costs import Layer
from segrt.export.precision.precision_counts import PrecisionCounts, count_model
from segrt.export.precision.search import SearchOutcome, search
from segrt.export.precision.speed import LARGEST_TIMED, measure_speed
from segrt.export.precision.variant_options import CLASS_LIMITS, LIMITS, Say, VariantOptions
from segrt.runtime.bundle.manifest import HeadParity, HeadTolerance, Parity, Tolerance
from segrt.runtime.console.progress import Bars
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.errors import CheckFailed
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.tensors import DType

if TYPE_CHECKING:
    import onnx

# Below this share of the multiply-adds a variant is not what its name says.
LEAST_SHARE = 0.1
_SLACK = 0.05  # what `segrt verify` allows below the worst picture seen here


@dataclass(frozen=True)
class VariantMaker:
    """What the variants of one network have in common.

    net, layers, network: the float32 network as a graph, its layers, and what the manifest says of it.
    reference: float32 on the pictures that variants are compared on. golden: on the bundle's golden pictures, if there
    are any and they are others.
    keep: the nodes that stay in float32 in every variant. calibration: pictures for int8.
    """

    net: IndexedGraph
    layers: Sequence[Layer]
    network: Network
    reference: Float32Reference
    golden: Float32Reference | None
    keep: frozenset[str]
    calibration: Sequence[Picture]
    options: VariantOptions
    say: Say

    def make(self, precision: str, folder: Path, source: Path) -> ConvertedVariant:
        """Make the variant at `precision`, its file in `folder`; `source` names the float32 network in errors."""
        self.say(f"making {precision}")

        task = Task(
            net=self.net,
            layers=self.layers,
            network=self.network,
            keep=self.keep,
            calibration=self.calibration,
            progress=self.options.progress,
            threads=self.options.threads,
            where=str(source),
        )
        converter = make_converter(precision, task)
        conversion = _Conversion(self, precision, converter)
        kept: frozenset[int] = frozenset()
        outcome = None
        if not conversion.passes(kept):
            outcome = conversion.search()
            kept = outcome.kept
        comparison = conversion.compare(kept)
        model = converter.build(self.nodes(kept))
        counts = count_model(model)
        conversion.check(model, counts, comparison, kept)
        path = folder / f"model.{precision}.onnx"
        path.write_bytes(model.SerializeToString())
        worst = comparison.worst
        if self.golden is not None:
            worst = min(worst, self.golden.compare(converter.run(self.golden.feeds, kept)).worst)
        file = VariantFile(
            precision,
            path,
            tolerance=self._tolerance(precision, comparison, worst),
            head_dtypes=head_dtypes(model, self.network.heads),
            parity=_parity(comparison),
            precision_share=counts.mac_share(precision) if counts.total_macs else None,
            weight_share=counts.weight_share(precision),
            kept=tuple(self.layers[position].label for position in sorted(kept)),
        )
        speed = None
        if counts.total_macs <= LARGEST_TIMED:
            speed = measure_speed(self.net.model, model, self.reference.feeds[0], threads=self.options.threads)
        return ConvertedVariant(file, comparison, counts, self._kept_layers(kept, outcome), outcome, speed)

    def nodes(self, kept: Collection[int]) -> set[str]:
        """Return the names of all nodes of the layers at the positions `kept`."""
        return {name for position in kept for name in self.layers[position].nodes}

    def _kept_layers(self, kept: Collection[int], outcome: SearchOutcome | None) -> tuple[KeptLayer, ...]:
        total = sum(layer.macs for layer in self.layers) or 1
        findings = outcome.findings if outcome else ()
        errors = {position: finding.error for finding in findings for position in finding.layers}
        layers = [
            KeptLayer(self.layers[position], self.layers[position].macs / total, errors.get(position, 0.0))
            for position in kept
        ]
        return tuple(sorted(layers, key=lambda layer: -layer.error))

    def _tolerance(self, precision: str, comparison: Comparison, worst: float) -> Tolerance:
        """Return the default tolerance of the precision, wider where what was measured is (`worst` agreement)."""
        default = default_tolerance(self.network, precision)
        agreement = min(default.agreement, max(0.0, round(worst - _SLACK, 3)))
        return Tolerance(agreement, self._head_tolerances(default.heads, comparison))

    def _head_tolerances(
        self, default: Mapping[str, HeadTolerance], comparison: Comparison
    ) -> dict[str, HeadTolerance]:
        """Return the default tolerances of fp16's heads, wider where the measured are; none for reordered queries."""
        tolerances = {}
        for name, tolerance in default.items() if self.options.trained else ():
            largest = (comparison.head_errors or {})[name][0]
            if largest <= tolerance.absolute:
                tolerances[name] = tolerance
            elif tolerance.rows == "all" and np.isfinite(largest):
                tolerances[name] = msgspec.structs.replace(tolerance, absolute=float(f"{2 * largest:.2g}"))
        return tolerances


class _Conversion:
    """One variant in the making: whether a choice of kept layers is good enough, and the search for one that is."""

    def __init__(self, maker: VariantMaker, precision: str, converter: Converter) -> None:
        self._maker, self._precision, self._converter = maker, precision, converter
        self._limit = maker.options.limits.get(precision, LIMITS[precision])
        self._class_limit = min(CLASS_LIMITS[precision], maker.options.limits.get(precision, 1.0))
        self._passed: dict[frozenset[int], bool] = {}
        self._compared: dict[frozenset[int], Comparison] = {}
        self._outcome: SearchOutcome | None = None

    def compare(self, kept: Collection[int]) -> Comparison:
        """Return how the variant with the layers `kept` in float32 compares with float32; run once for each choice."""
        choice, reference = frozenset(kept), self._maker.reference
        if choice not in self._compared:
            self._compared[choice] = reference.compare(self._converter.run(reference.feeds, choice))
        return self._compared[choice]

    def passes(self, kept: Collection[int]) -> bool:
        """Whether the variant with `kept` in float32 is good enough; measured once for each choice."""
        choice = frozenset(kept)
        if choice not in self._passed:
            self._passed[choice] = self._measure(choice)
        return self._passed[choice]

    def _measure(self, kept: frozenset[int]) -> bool:
        options, comparison = self._maker.options, self.compare(kept)
        if not comparison.is_finite:
            return False
        if options.accept is not None:
            return options.accept.accepts(self._precision, self._converter.build(self._maker.nodes(kept)))
        if not options.trained:
            return True
        overlap = 1.0 if comparison.classes is None else comparison.classes
        return comparison.agreement >= self._limit and overlap >= self._class_limit

    def search(self) -> SearchOutcome:
        """Find the layers to keep."""
        maker, comparison = self._maker, self.compare(frozenset())
        why = self._shortfall(comparison) if comparison.is_finite else "its heads overflow"
        maker.say(f"{self._precision}: {why}; searching for the layers that must stay in fp32")
        everything = frozenset(range(len(maker.layers)))
        with Bars("name", "bar", "count", "left") as bars:
            self._outcome = search(
                self._converter.candidates,
                [layer.macs for layer in maker.layers],
                lambda low: maker.reference.error(self._converter.probe(maker.reference.feeds, everything - low)),
                self.passes,
                steps=maker.options.search_steps,
                seconds=maker.options.search_seconds,
                progress=partial(bars.show, f"searching layers, {self._precision}"),
            )
        return self._outcome

    def check(
        self, model: "onnx.ModelProto", counts: PrecisionCounts, comparison: Comparison, kept: Collection[int]
    ) -> None:
        """Raise CheckFailed for a variant that is another precision in truth, or differs too much."""
        require_onnx().checker.check_model(model)
        share = counts.mac_share(self._precision) if counts.total_macs else counts.weight_share(self._precision)
        if share < LEAST_SHARE:
            little = f"only {share:.1%} of the multiply-adds would be at it"
            if not kept:
                raise CheckFailed(f"{self._precision}: {little}, for little else can be; leave {self._precision} out")
            whole = self.compare(frozenset())
            why = self._shortfall(whole) if whole.is_finite else "its heads overflow"
            found = f"with enough of its layers in fp32 {little}"
            if self._outcome is not None and not self._outcome.finished:
                found = (
                    f"the search for layers to keep ended after {self._outcome.steps} runs, before a choice was enough "
                    "(`segrt quantize --search-seconds` gives it longer)"
                )
            raise CheckFailed(f"{self._precision}: {why}; {found}; {self._advice(whole)}")
        if not self.passes(kept):
            raise CheckFailed(f"{self._precision}: {self._shortfall(comparison)}; {self._advice(comparison)}")

    def _shortfall(self, comparison: Comparison) -> str:
        """Say what is missing, with the limit."""
        accept = self._maker.options.accept
        if accept is not None and comparison.is_finite:
            return accept.shortfall(self._precision)
        if comparison.agreement < self._limit or comparison.classes is None:
            return f"only {comparison.agreement:.2%} agreement with fp32 (must be {self._limit:.2%})"
        return f"only {comparison.classes:.2%} overlap by class with fp32 (must be {self._class_limit:.2%})"

    def _advice(self, comparison: Comparison) -> str:
        """Return what can be done about a variant that agrees with fp32 as `comparison` says."""
        advice = f"leave {self._precision} out"
        if self._precision.startswith("int8"):
            advice += ", calibrate with pictures like those it will see"
        if not comparison.is_finite:
            return advice
        accept = self._maker.options.accept
        if accept is not None:
            return f"{advice}, or allow more: {accept.remedy(self._precision)}"
        least = min(comparison.agreement, 1.0 if comparison.classes is None else comparison.classes)
        return f"{advice}, or ask for less: `segrt quantize --agreement {math.floor(100 * least) / 100:g}`"


def _parity(comparison: Comparison) -> Parity:
    """Return what the manifest says of a comparison with float32."""
    heads = {
        name: HeadParity(float(largest), float(mean))
        for name, (largest, mean) in (comparison.head_errors or {}).items()
        if np.isfinite(largest)
    }
    return Parity(
        comparison.images,
        comparison.worst,
        heads,
        matched=comparison.matched,
        pq=comparison.quality,
        against="fp32",
    )


def head_dtypes(model: "onnx.ModelProto", heads: Sequence[HeadSpec]) -> dict[str, DType]:
    """Return the heads that are float16 in a variant, but not by the manifest."""
    wanted = {spec.name: spec.dtype for spec in heads}
    dtypes: dict[str, DType] = {}
    for value in model.graph.output:
        if value.name in wanted and value.type.tensor_type.elem_type == 10 and wanted[value.name] != "float16":
            dtypes[value.name] = "float16"
    return dtypes
