"""The ranges of a network's activations over pictures, for int8: histograms, and the thresholds to clip at.

The thresholds are the usual ones: the largest value; a percentile; the one with the least squared error of
rounding and clipping together; the one with the least Kullback-Leibler divergence (S. Migacz, "8-bit inference with
TensorRT", GTC 2017).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.export.graph.editing import require_onnx
from segrt.export.precision.indexed_graph import IndexedGraph, open_session
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.tensors import Array

BINS = 2048
LEVELS = 127
_MOST_BYTES = 256 << 20
_MOST_VALUES = 1 << 20
_PERCENTILES = {"percentile-99.99": 0.9999, "percentile-99.999": 0.99999}
METHODS = ("minmax", "percentile-99.99", "percentile-99.999", "mse", "entropy")


class Histogram:
    """How often absolute values occur; the range doubles when a larger one comes."""

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)
        self.limit = 0.0
        self.lowest = 0.0
        self.highest = 0.0

    @property
    def largest(self) -> float:
        """The largest absolute value."""
        return max(-self.lowest, self.highest)

    def add(self, values: Array) -> None:
        """Count an array of floats; of very large ones an even part. Infinities and NaN are left out."""
        flat = values.ravel()
        lowest, highest = (float(flat.min()), float(flat.max())) if flat.size else (0.0, 0.0)
        if not np.isfinite(lowest) or not np.isfinite(highest):
            flat = flat[np.isfinite(flat)]
            lowest, highest = (float(flat.min()), float(flat.max())) if flat.size else (0.0, 0.0)
        self.lowest, self.highest = min(self.lowest, lowest), max(self.highest, highest)
        top = max(-lowest, highest)
        magnitudes = np.abs(flat[:: max(1, flat.size // _MOST_VALUES)])
        if top <= 0.0:
            self.counts[0] += magnitudes.size
            return
        if self.limit == 0.0:
            self.limit = top
        while self.limit < top:
            self.counts[: BINS // 2] = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts[BINS // 2 :] = 0
            self.limit *= 2
        places = np.minimum((magnitudes * (BINS / self.limit)).astype(np.int64), BINS - 1)
        self.counts += np.bincount(places, minlength=BINS)

    def threshold(self, method: str) -> float:
        """Return the absolute value that 127 stands for; 0 where every value was 0."""
        if self.largest == 0.0 or method == "minmax":
            return self.largest
        if method in _PERCENTILES:
            reached = np.cumsum(self.counts) >= _PERCENTILES[method] * self.counts.sum()
            return min(self.largest, float(np.argmax(reached) + 1) * self.limit / BINS)
        return min(self.largest, {"mse": _least_squares, "entropy": _least_divergence}[method](self))

    def range(self, method: str) -> tuple[float, float]:
        """Return the lowest and highest value to be told apart, for codes that need not be symmetric; 0 is between."""
        threshold = self.threshold(method)
        return max(self.lowest, -threshold), min(self.highest, threshold)


def collect(
    net: IndexedGraph,
    tensors: Sequence[str],
    feeds: Callable[[], Iterable[Mapping[str, Array]]],
    *,
    threads: int = 0,
) -> dict[str, Histogram]:
    """Return the histogram of each of `tensors` over the network inputs that each call of `feeds` gives anew.

    A network with many large tensors runs several times, for no more of them are held at once than fit into memory.
    """
    histograms = {name: Histogram() for name in tensors}
    for name, values in run_for(net, tensors, feeds, threads):
        histograms[name].add(values)
    return histograms


def run_for(
    net: IndexedGraph, tensors: Sequence[str], feeds: Callable[[], Iterable[Mapping[str, Array]]], threads: int
) -> Iterator[tuple[str, Array]]:
    """Yield each of `tensors` with its values for each feed, in parts that fit into memory."""
    inputs = {value.name for value in net.model.graph.input}
    for part in _parts(net, tensors):
        computed = [name for name in part if name not in inputs]
        session = _session_with(net, computed, threads)
        for feed in feeds():
            values = dict(zip(computed, session.run(computed, dict(feed)), strict=True)) if computed else {}
            for name in part:
                yield name, values[name] if name in values else feed[name]
        del session


def calibration_files(folder: Path | None, most: int = 128) -> list[Path]:
    """Return the pictures of a folder, at most `most`, evenly spread over their names; raise SegrtError without any.

    The folder of an archive (`segrt archive`) stands for the frames of its sources.
    """
    from segrt.runtime.files.finding import find_pictures
    from segrt.runtime.scale.archive.archived_pictures import archived_pictures
    from segrt.runtime.scale.archive.archived_results import is_archive_folder

    if folder is None:
        raise SegrtError(
            "int8 needs pictures to calibrate with; add --calibration DIR with a hundred or so like those it will see"
        )
    if not folder.is_dir():
        raise SegrtError(f"--calibration {folder}: there is no such folder; give one with pictures")
    if is_archive_folder(folder):
        return archived_pictures(folder, most)
    pictures = find_pictures([str(folder)])
    return [
        pictures[index] for index in np.linspace(0, len(pictures) - 1, min(most, len(pictures))).round().astype(int)
    ]


def _session_with(net: IndexedGraph, tensors: Sequence[str], threads: int) -> Any:
    """Return a session of that part of the network which makes `tensors`."""
    onnx = require_onnx()
    model = net.copy()
    known = {value.name: value for value in net.model.graph.output}
    del model.graph.output[:]
    model.graph.output.extend(known.get(name) or onnx.ValueInfoProto(name=name) for name in tensors)
    return open_session(model, threads=threads)


def _parts(net: IndexedGraph, tensors: Sequence[str]) -> list[list[str]]:
    """Split the tensors so that those of one run fit into memory."""
    parts: list[list[str]] = []
    size = _MOST_BYTES
    for name in tensors:
        bytes_here = net.bytes_of(name)
        if not parts or size + bytes_here > _MOST_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(name)
        size += bytes_here
    return parts


def _centers(histogram: Histogram) -> npt.NDArray[np.float64]:
    return (np.arange(BINS) + 0.5) * histogram.limit / BINS


def _least_squares(histogram: Histogram) -> float:
    values, counts = _centers(histogram), histogram.counts
    best, chosen = np.inf, histogram.largest
    for threshold in np.linspace(0.1, 1.0, 91) * histogram.largest:
        step = threshold / LEVELS
        error = values - np.minimum(np.round(values / step), LEVELS) * step
        total = float((counts * error**2).sum())
        if total < best:
            best, chosen = total, float(threshold)
    return chosen


def _least_divergence(histogram: Histogram) -> float:
    counts = histogram.counts.astype(np.float64)
    counts[0] = counts[1]  # zeros are exact at any threshold
    best, chosen = np.inf, BINS
    used = int(np.nonzero(counts)[0].max(initial=0)) + 1
    for length in range(LEVELS + 1, used + 1, 8):
        clipped = counts[:length].copy()
        clipped[-1] += counts[length:].sum()
        level = np.arange(length) * (LEVELS + 1) // length
        filled = counts[:length] > 0
        sums = np.bincount(level, counts[:length], LEVELS + 1)
        sizes = np.bincount(level, filled, LEVELS + 1)
        spread = np.where(filled, (sums / np.maximum(sizes, 1))[level], 0.0)
        divergence = _divergence(clipped, spread)
        if divergence < best:
            best, chosen = divergence, length
    return chosen * histogram.limit / BINS


def _divergence(wanted: npt.NDArray[np.float64], approximated: npt.NDArray[np.float64]) -> float:
    if not wanted.sum() or not approximated.sum():
        return float(np.inf)
    p, q = wanted / wanted.sum(), approximated / approximated.sum()
    both = p > 0
    return float((p[both] * np.log(p[both] / np.maximum(q[both], 1e-12))).sum())
