"""PQ evaluation against a panopticapi-style matching in numpy, on the same files, and against bare PNG decoding.

    python benchmarks/evaluate.py [--pairs 2000] [--size 480x640] [--json FILE]

Files: street worlds rendered at the size, each beside a prediction made from it by shifting and relabelling. Times are
CPU times of one process, the best of the rounds, so that another load on the machine does not count.
"""

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from segrt.runtime.evaluate.datasets.coco_dataset import PanopticDataset
from segrt.runtime.evaluate.datasets.opening import open_dataset
from segrt.runtime.evaluate.measuring import measure
from segrt.runtime.evaluate.metrics.panoptic_quality import PanopticEvaluator
from segrt.runtime.evaluate.predictions import open_predictions
from segrt.runtime.evaluate.truth import PanopticTruth
from segrt.runtime.outputs.coco_results import write_panoptic_json, write_panoptic_png
from segrt.runtime.streetworld.moments import scattered
from segrt.runtime.streetworld.writing import write_dataset

OFFSET = 256**3
ROUNDS = 3


def write_files(folder: Path, pictures: int, size: tuple[int, int]) -> None:
    """Write `pictures` street truths, and as predictions the same maps moved by some pixels."""
    write_dataset(folder, scattered(900_000, pictures, size))
    content = json.loads((folder / "panoptic.json").read_text())
    (folder / "predicted").mkdir()
    dataset = open_dataset(folder / "panoptic.json")
    random = np.random.default_rng(0)
    annotations = []
    for sample, annotation in zip(dataset.samples, content["annotations"], strict=True):
        truth = dataset.read_truth(sample)
        assert isinstance(truth, PanopticTruth)
        moved = np.roll(truth.segment_ids, tuple(random.integers(-6, 7, 2)), (0, 1))
        write_panoptic_png(folder / "predicted" / annotation["file_name"], moved)
        annotations.append(annotation)
    write_panoptic_json(folder / "predicted.json", content["images"], annotations, dataset.labels)


def rgb2id(color: Any) -> Any:
    """Return the ids of a picture as panopticapi's utils.py does; the channels are turned, for cv2 decodes BGR."""
    return color[:, :, 2] + 256 * color[:, :, 1] + 256 * 256 * color[:, :, 0]


def numpy_matching(truth: Any, predicted: Any, true: list[Any], found: list[Any], stats: Any) -> None:
    """Match one pair of decoded pictures (BGR) as panopticapi's evaluation.py, pq_compute_single_core, does."""
    truth, predicted = rgb2id(truth.astype(np.uint32)), rgb2id(predicted.astype(np.uint32))
    truth_segments = {segment.id: segment for segment in true}
    found_segments = {segment.id: segment for segment in found}
    areas = dict(zip(*(part.tolist() for part in np.unique(predicted, return_counts=True)), strict=True))
    true_areas = dict(zip(*(part.tolist() for part in np.unique(truth, return_counts=True)), strict=True))
    joint = truth.astype(np.uint64) * OFFSET + predicted.astype(np.uint64)
    shared = {}
    for label, count in zip(*np.unique(joint, return_counts=True), strict=True):
        shared[int(label) // OFFSET, int(label) % OFFSET] = int(count)
    matched_true, matched_found = set(), set()
    for (true_id, found_id), count in shared.items():
        if true_id not in truth_segments or found_id not in found_segments or truth_segments[true_id].iscrowd:
            continue
        if truth_segments[true_id].class_id != found_segments[found_id].class_id:
            continue
        union = areas[found_id] + true_areas[true_id] - count - shared.get((0, found_id), 0)
        if count / union > 0.5:
            stats[truth_segments[true_id].class_id][0] += count / union
            stats[truth_segments[true_id].class_id][1] += 1
            matched_true.add(true_id)
            matched_found.add(found_id)
    crowds = {}
    for true_id, segment in truth_segments.items():
        if true_id in matched_true:
            continue
        if segment.iscrowd:
            crowds[segment.class_id] = true_id
        else:
            stats[segment.class_id][3] += 1
    for found_id, segment in found_segments.items():
        if found_id in matched_found:
            continue
        excused = shared.get((0, found_id), 0)
        if segment.class_id in crowds:
            excused += shared.get((crowds[segment.class_id], found_id), 0)
        if excused / areas[found_id] <= 0.5:
            stats[segment.class_id][2] += 1


def best_time(work: Callable[[], Any]) -> float:
    """Return the least CPU time in seconds over the rounds."""
    times = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--pictures", type=int, default=50, help="different pairs; they are read again and again")
    parser.add_argument("--size", default="480x640")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    height, width = (int(side) for side in arguments.size.split("x"))
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, min(arguments.pictures, arguments.pairs), (height, width))
        report = run(folder, arguments.pairs)
    report = {"size": arguments.size, **report}
    for key, value in report.items():
        print(f"{key:34} {value if isinstance(value, str | int) else round(value, 3)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def run(folder: Path, pairs: int) -> dict[str, Any]:
    """Return the times of the ways to do it, per pair, and their ratios."""
    dataset = open_dataset(folder / "panoptic.json")
    assert isinstance(dataset, PanopticDataset)
    predictions = open_predictions(folder / "predicted.json", dataset)
    repeats = max(1, pairs // len(dataset.samples))
    repeated = PanopticDataset(dataset.path, dataset.png_folder, dataset.labels, dataset.samples * repeats)
    files = [
        folder / kind / f"{sample.annotation.file_name}"
        for sample in dataset.samples
        for kind in ("panoptic", "predicted")
    ]

    def decode() -> None:
        for path in files * repeats:
            cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)

    def evaluate() -> Any:
        return measure(predictions, repeated).evaluations("panoptic")[0]

    decoded = []
    for sample in dataset.samples:
        found = predictions.predict(sample, dataset)
        assert isinstance(found, PanopticTruth)
        decoded.append((dataset.read_truth(sample), found))
    maps = [(t.ids, p.ids, list(t.segments), list(p.segments)) for t, p in decoded]
    stats: Any = defaultdict(lambda: [0.0, 0, 0, 0])

    def in_numpy() -> None:
        stats.clear()
        for pair in maps * repeats:
            numpy_matching(*pair, stats)

    def in_segrt() -> None:
        evaluator = PanopticEvaluator(dataset.labels)
        for truth, found in decoded * repeats:
            evaluator.update(found, truth)

    count = len(dataset.samples) * repeats
    times = {name: best_time(work) / count for name, work in _named(decode, evaluate, in_numpy, in_segrt).items()}
    per_class = [iou / (tp + fp / 2 + fn / 2) for iou, tp, fp, fn in stats.values() if tp + fp + fn]
    return {
        "pairs": count,
        "decoding, ms a pair": times["decode"] * 1e3,
        "segrt from files, ms a pair": times["evaluate"] * 1e3,
        "numpy matching alone, ms a pair": times["in_numpy"] * 1e3,
        "segrt matching alone, ms a pair": times["in_segrt"] * 1e3,
        "matching, times numpy": times["in_numpy"] / times["in_segrt"],
        "from files, times numpy": (times["decode"] + times["in_numpy"]) / times["evaluate"],
        "share of the decoding rate": times["decode"] / times["evaluate"],
        "largest difference of PQ": abs(float(np.mean(per_class)) - (evaluate().metrics["pq"] or 0.0)),
    }


def _named(*works: Callable[[], Any]) -> dict[str, Callable[[], Any]]:
    return {work.__name__: work for work in works}


if __name__ == "__main__":
    main()
