"""Accuracy beside latency: the main metric of each candidate's technique on a data set."""

from collections.abc import Callable
from dataclasses import replace

from segrt.runtime.evaluate.by_technique import MAIN_METRIC
from segrt.runtime.evaluate.datasets.dataset import Address, Dataset
from segrt.runtime.evaluate.datasets.opening import open_address
from segrt.runtime.evaluate.measuring import Options, measure
from segrt.runtime.evaluate.segmenting import BundleOpener
from segrt.runtime.inference.execution import Execution
from segrt.runtime.profiling.candidate import Candidate
from segrt.runtime.profiling.records import Accuracy
from segrt.runtime.segmenter import find_bundle


def measure_accuracy(
    candidates: list[Candidate],
    address: Address,
    options: Options | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> dict[tuple[str, str, str], Accuracy]:
    """Return (bundle, precision, backend) → accuracy; threads and picture sizes change nothing about it.

    `options` say which classes count; `note` is told which are left out, once for each bundle.

    Raises SegrtError as `segrt eval` does.
    """
    accuracies: dict[tuple[str, str, str], Accuracy] = {}
    noted: set[str] = set()
    for candidate in candidates:
        key = (candidate.bundle, candidate.precision, candidate.backend)
        if key not in accuracies:
            accuracies[key], left_out = _measure(candidate, address, options or Options())
            if left_out and candidate.bundle not in noted:
                note(f"not evaluated: {left_out}")
            noted.add(candidate.bundle)
    return accuracies


def _measure(candidate: Candidate, address: Address, options: Options) -> tuple[Accuracy, str]:
    labels = find_bundle(candidate.bundle).manifest.labels
    dataset: Dataset = open_address(replace(address, labels=labels))
    execution = Execution(
        candidate.backend, candidate.precision, candidate.threads, candidate.engines, decode_on=candidate.decode_on
    )
    opener = BundleOpener(candidate.bundle, candidate.bundle, execution)
    with opener() as predictor:
        outcome = measure(predictor, dataset, options)
        evaluation = outcome.evaluations(predictor.technique)[0]
    metric = MAIN_METRIC[evaluation.technique].name
    return Accuracy(metric, evaluation.metrics[metric] or 0.0, evaluation.images), outcome.match.left_out
