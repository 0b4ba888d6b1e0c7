"""What each recipe of int8 and fp16 costs in agreement and brings in time, on this machine's CPU.

    python benchmarks/precision.py BUNDLE… [--calibration DIR] [--pictures DIR] [--rounds 20] [--json FILE]

Each network is measured against its fp32 variant: agreement of the final results on pictures that were not calibrated
with, and the median time of one run in ONNX Runtime with one thread. Times are taken in turns, in a random order, and
the ratio is the median of those of neighbouring runs, so that another load on the machine meets all recipes alike.
Without --calibration and --pictures, street worlds are rendered. fp16's agreement is computed with float16's rounding
in every tensor; ONNX Runtime's CPU kernels compute in float32 between casts.
"""

import argparse
import json
import logging
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from segrt.export.graph.editing import read_graph
from segrt.export.precision import int8_cpu
from segrt.export.precision.bundle_variants import float32_variant, network_of
from segrt.export.precision.calibration import METHODS, collect
from segrt.export.precision.float32_reference import Float32Reference, session_runner
from segrt.export.precision.fp16 import to_fp16
from segrt.export.precision.indexed_graph import prepare_graph
from segrt.export.precision.int8 import quantisable, to_int8
from segrt.export.precision.int8_recipes import Int8, Int8Cpu, Task, calibrate
from segrt.export.precision.layer_costs import find_layers
from segrt.export.precision.switchable_network import switchable_fp16
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.console.tables import print_table
from segrt.runtime.files.finding import find_pictures
from segrt.runtime.files.images import read_image
from segrt.runtime.preprocess.picture import network_inputs
from segrt.runtime.streetworld import StreetWorld
from segrt.runtime.streetworld.moments import drawn_time

Feeds = Sequence[Mapping[str, Any]]
CALIBRATED, COMPARED = 32, 12


def pictures(folder: Path | None, seed: int, count: int) -> list[Any]:
    """Return up to `count` pictures of a folder, or as many street views."""
    if folder is not None:
        return [read_image(path) for path in find_pictures([str(folder)])[:count]]
    return [StreetWorld(index).render(drawn_time(index), (192, 320)).image for index in range(seed, seed + count)]


def onnxruntimes_own(path: Path, feeds: Feeds, out: Path, activations: str) -> onnx.ModelProto:
    """Return what onnxruntime.quantization makes of a network with its default choice of operators."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.feeds = iter(feeds)

        def get_next(self) -> Any:
            return next(self.feeds, None)

    logging.disable(logging.WARNING)
    kind = {"U8S8": QuantType.QUInt8, "S8S8": QuantType.QInt8}[activations]
    quantize_static(str(path), str(out), Reader(), activation_type=kind, weight_type=QuantType.QInt8, per_channel=True)
    return onnx.load(str(out))


def recipes(task: Task, path: Path, feeds: Feeds, folder: Path) -> dict[str, Callable[[], onnx.ModelProto]]:
    """Return the recipes by name: ways to clip alone, then what segrt makes, then ONNX Runtime's own."""
    net = task.net
    planned = int8_cpu.plan(net)
    names = [node.input[0] for node in quantisable(net)] + [name for name in planned.coded if name not in net.constants]
    seen = collect(net, list(dict.fromkeys(names)), lambda: feeds, threads=1)

    def for_tensorrt(method: str) -> onnx.ModelProto:
        return to_int8(net, {name: entry.threshold(method) for name, entry in seen.items()})

    def for_cpus(method: str, levels: int) -> onnx.ModelProto:
        int8_cpu.WEIGHT_LEVELS = levels
        return int8_cpu.to_int8_cpu(net, {name: entry.range(method) for name, entry in seen.items()})

    found: dict[str, Callable[[], onnx.ModelProto]] = {"fp32": lambda: net.model, "fp16": lambda: to_fp16(net)}
    found |= {f"int8, {method}": lambda method=method: for_tensorrt(method) for method in METHODS}  # type: ignore[misc]
    for method in METHODS:
        found[f"int8-cpu, {method}"] = lambda method=method: for_cpus(method, 63)  # type: ignore[misc]
    found["int8-cpu, minmax, 8-bit weights"] = lambda: for_cpus("minmax", 127)
    for recipe in (Int8(), Int8Cpu()):
        found[f"{recipe.precision}, as it is made"] = lambda recipe=recipe: recipe.build(  # type: ignore[misc]
            calibrate(task, recipe), ()
        )
    for kind in ("U8S8", "S8S8"):
        found[f"onnxruntime's own, {kind}"] = lambda kind=kind: onnxruntimes_own(  # type: ignore[misc]
            path, feeds, folder / f"{kind}.onnx", kind
        )
    return found


def times_in_turns(
    models: Mapping[str, onnx.ModelProto], feed: Mapping[str, Any], rounds: int
) -> dict[str, list[float]]:
    """Return each network's times in ms, all of them run in every round."""
    sessions = {}
    for name, model in models.items():
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        data = model.SerializeToString()
        sessions[name] = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    times: dict[str, list[float]] = {name: [] for name in sessions}
    order = list(sessions)
    for turn in range(-1, rounds):
        random.shuffle(order)
        for name in order:
            start = time.perf_counter()
            sessions[name].run(None, feed)
            if turn >= 0:
                times[name].append(1000 * (time.perf_counter() - start))
    return times


def measure(bundle: str, calibration: Sequence[Any], compared: Sequence[Any], rounds: int) -> list[dict[str, Any]]:
    """Return a row for each recipe of one bundle."""
    opened = read_bundle(bundle)
    path, network = opened.network(float32_variant(opened)), network_of(opened)
    net = prepare_graph(read_graph(path).model, bundle)
    feeds = [network_inputs(network.inputs, picture)[0] for picture in calibration]
    reference = Float32Reference(network, compared, session_runner(net.model, network, 1))
    rows, models = [], {}
    with tempfile.TemporaryDirectory() as folder:
        task = Task(net, find_layers(net), network, frozenset(), calibration, lambda items, text: items, 1, bundle)  # noqa: ARG005
        for name, build in recipes(task, path, feeds, Path(folder)).items():
            try:
                int8_cpu.WEIGHT_LEVELS = 63
                model = build()
                run = session_runner(model, network, 1)
                if name == "fp16":
                    layers = find_layers(net)
                    switchable = switchable_fp16(net, layers, set(), 1)
                    heads = [switchable.run(feed, range(len(layers))) for feed in reference.feeds]
                else:
                    heads = [run(feed) for feed in reference.feeds]
            except Exception as error:  # a recipe that a network defeats is a result
                rows.append({"bundle": bundle, "recipe": name, "failed": " ".join(str(error).split())[:80]})
                continue
            comparison = reference.compare(heads)
            models[name] = model
            rows.append(
                {"bundle": bundle, "recipe": name, "agreement": comparison.agreement, "worst": comparison.worst,
                 "classes": comparison.classes, "matched": comparison.matched, "pq": comparison.quality,
                 "error": comparison.error}
            )  # fmt: skip
    times = times_in_turns(models, reference.feeds[0], rounds)
    for row in rows:
        if row["recipe"] in times:
            own, whole = times[row["recipe"]], times["fp32"]
            row["ms"] = statistics.median(own)
            row["speedup"] = statistics.median(b / a for a, b in zip(own, whole, strict=True))
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundles", nargs="+")
    parser.add_argument("--calibration", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (ONNX Runtime's quantiser uses it)
    calibration = pictures(given.calibration, 700_000, CALIBRATED)
    compared = pictures(given.pictures, 600_000, COMPARED)
    rows = []
    for bundle in given.bundles:
        found = measure(bundle, calibration, compared, given.rounds)
        rows += found
        columns = ["agreement", "worst", "classes", "matched", "pq", "error", "ms", "speedup"]
        cells = [[row["recipe"], *(_text(row, name) for name in columns), row.get("failed", "")] for row in found]
        print_table(f"{bundle}, {len(compared)} pictures", ["recipe", *columns, ""], cells)
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=1))


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else f"{value:.2f}" if name in ("ms", "speedup") else f"{value:.4f}"


if __name__ == "__main__":
    main()
