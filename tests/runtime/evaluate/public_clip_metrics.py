"""Compares the figures of clips with public code, on the same files: `python public_clip_metrics.py --help`.

TrackEval is the package `trackeval`. VPSNet's tools/eval_vpq.py (github.com/mcahny/vps) and deeplab2's
evaluation/numpy/segmentation_and_tracking_quality.py (github.com/google-research/deeplab2) are no packages: name the
files. What is not there is skipped; nothing is fetched. The figures that are printed are kept in test_clip_metrics.py.
"""

import argparse
import contextlib
import importlib.util
import io
import json
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from made_clips import CROWD, LABELS, SIZE, made_clips, write_panoptic_video, write_step

from segrt.runtime.evaluate import evaluate_predictions, open_dataset
from segrt.runtime.results import rle
from segrt.runtime.results.coco_format import id2rgb, read_panoptic_png

TOLERANCE = 1e-6
WINDOWS = (1, 5, 10, 15)
MOTS = {"car": (2, 1), "pedestrian": (3, 2)}  # TrackEval's name → our class id, its class id
OURS = {"car": "car", "pedestrian": "person"}


def main() -> int:
    """Compare with all that is there; return 1 when a figure differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vps", type=Path, help="tools/eval_vpq.py of mcahny/vps")
    parser.add_argument(
        "--deeplab2", type=Path, help="evaluation/numpy/segmentation_and_tracking_quality.py of deeplab2"
    )
    given = parser.parse_args()
    pairs: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        if importlib.util.find_spec("trackeval") is None:
            print("skipped HOTA, IDF1, MOTA: no package trackeval")
        else:
            pairs |= with_trackeval(Path(folder) / "mots")
        if given.vps is None:
            print("skipped VPQ: give --vps FILE")
        else:
            pairs |= with_vps(Path(folder) / "vps", load(given.vps))
        if given.deeplab2 is None:
            print("skipped STQ: give --deeplab2 FILE")
        else:
            pairs |= with_deeplab2(Path(folder) / "step", load(given.deeplab2))
    for name, (theirs, ours) in pairs.items():
        print(f"{name:20} {theirs:.9f} {ours:.9f} {abs(theirs - ours):.1e}")
    wrong = [name for name, (theirs, ours) in pairs.items() if not abs(theirs - ours) <= TOLERANCE]
    print(f"{len(pairs)} figures, differing by more than {TOLERANCE:g}: {wrong or 'none'}")
    return bool(wrong)


def load(path: Path) -> ModuleType:
    """Import a file that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def files(folder: Path, *, crowd: bool) -> tuple[Path, Path]:
    """Write truth and predictions as COCO panoptic video; return both JSON files."""
    folder.mkdir()
    clips = made_clips(crowd=crowd)
    truth = write_panoptic_video(folder / "truth.json", [[frame.truth for frame in clip] for clip in clips])
    predicted = write_panoptic_video(folder / "pred.json", [[frame.predicted for frame in clip] for clip in clips])
    return truth, predicted


def with_vps(folder: Path, vps: ModuleType) -> dict[str, tuple[float, float]]:
    """Compare VPQ of each window."""
    truth, predicted = files(folder, crowd=True)
    ours = evaluate_predictions(predicted, open_dataset(truth)).metrics
    content, guessed = (json.loads(path.read_text()) for path in (truth, predicted))
    known = {entry["id"]: entry for entry in content["categories"]}
    pairs = {}
    for length in WINDOWS:
        total = vps.PQStat()
        for true, found in zip(content["annotations"], guessed["annotations"], strict=True):
            frames = [
                (*both, *(picture(path, video, entry) for path, video, entry in zip(
                    (truth, predicted), (true, found), both, strict=True
                )), None)
                for both in zip(true["annotations"], found["annotations"], strict=True)
            ]  # fmt: skip
            total += vps.vpq_compute_single_core(frames, known, nframes=length)
        for suffix, isthing in (("", None), ("_things", True), ("_stuff", False)):
            name = f"vpq_{length}{suffix}"
            figure = ours[name]
            assert figure is not None
            pairs[name] = (float(total.pq_average(known, isthing)[0]["pq"]), figure)
    return pairs


def picture(path: Path, video: dict[str, Any], entry: dict[str, Any]) -> Any:
    """Return a PNG of ids, uint8 RGB (H, W, 3)."""
    return id2rgb(read_panoptic_png(path.with_suffix("") / video["video_id"] / entry["file_name"]))


def with_deeplab2(folder: Path, deeplab2: ModuleType) -> dict[str, tuple[float, float]]:
    """Compare STQ and its parts."""
    clips = made_clips(crowd=True)
    truth = write_step(folder / "panoptic_maps", [[frame.truth for frame in clip] for clip in clips])
    predicted = write_step(folder / "predicted", [[frame.predicted for frame in clip] for clip in clips])
    ours = evaluate_predictions(predicted, open_dataset(truth, labels=LABELS)).metrics
    things = [label.dataset_id for label in LABELS if label.isthing]
    quality = deeplab2.STQuality(len(LABELS), things, 255, 16, 1 << 30)
    for sequence in sorted(truth.iterdir()):
        for png in sorted(sequence.iterdir()):
            maps = [cv2.imread(str(root / sequence.name / png.name)).astype(np.int64) for root in (truth, predicted)]
            quality.update_state(
                *(((each[..., 2] << 16) + (each[..., 1] << 8) + each[..., 0]) for each in maps), sequence.name
            )
    result = quality.result()
    names = {"STQ": "stq", "AQ": "aq", "IoU": "stq_iou"}
    return {ours_name: (float(result[name]), ours[ours_name] or 0.0) for name, ours_name in names.items()}


def with_trackeval(folder: Path) -> dict[str, tuple[float, float]]:
    """Compare HOTA and its parts, IDF1 and MOTA of each class; void is TrackEval's region that is ignored."""
    import trackeval

    truth, predicted = files(folder, crowd=False)
    ours = evaluate_predictions(predicted, open_dataset(truth)).per_class
    lengths = write_mots(folder / "gt" / "label_02", truth, is_truth=True)
    write_mots(folder / "trackers" / "mine" / "data", predicted, is_truth=False)
    seqmap = folder / "gt" / "evaluate_mots.seqmap.val"
    seqmap.write_text("".join(f"{name} empty 000000 {length:06d}\n" for name, length in lengths.items()))
    quiet = {"PRINT_CONFIG": False}
    config = {"GT_FOLDER": str(folder / "gt"), "TRACKERS_FOLDER": str(folder / "trackers"), "SPLIT_TO_EVAL": "val"}
    data = trackeval.datasets.KittiMOTS({**config, **quiet, "OUTPUT_FOLDER": str(folder), "SEQMAP_FILE": str(seqmap)})
    off = dict.fromkeys(
        ("USE_PARALLEL", "PRINT_RESULTS", "TIME_PROGRESS", "OUTPUT_SUMMARY", "OUTPUT_DETAILED", "PLOT_CURVES"), False
    )
    metrics = [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR(quiet), trackeval.metrics.Identity(quiet)]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = trackeval.Evaluator({**off, **quiet, "BREAK_ON_ERROR": True, "LOG_ON_ERROR": None})
        found, _ = evaluator.evaluate([data], metrics)
    pairs = {}
    for name, result in found["KittiMOTS"]["mine"]["COMBINED_SEQ"].items():
        figures = {
            **{field.lower(): float(np.mean(result["HOTA"][field])) for field in ("HOTA", "DetA", "AssA", "LocA")},
            "idf1": float(result["Identity"]["IDF1"]),
            "mota": float(result["CLEAR"]["MOTA"]),
        }
        for figure, theirs in figures.items():
            pairs[f"{OURS[name]} {figure}"] = (theirs, ours[OURS[name]][figure] or 0.0)
    return pairs


def write_mots(target: Path, path: Path, *, is_truth: bool) -> dict[str, int]:
    """Write the things of a JSON's clips as MOTS has them, a line an object; return the clips' lengths."""
    target.mkdir(parents=True)
    lengths = {}
    for number, video in enumerate(json.loads(path.read_text())["annotations"]):
        lines = []
        for index, entry in enumerate(video["annotations"]):
            ids = read_panoptic_png(path.with_suffix("") / video["video_id"] / entry["file_name"])
            kinds = {info["id"]: info["category_id"] for info in entry["segments_info"]}
            for ours, theirs in MOTS.values():
                tracks = [key for key, kind in kinds.items() if kind == ours and key != CROWD]
                lines += [mots_line(index, track, theirs, ids == track) for track in tracks]
            if is_truth and (ids == 0).any():
                lines.append(mots_line(index, 10_000, 10, ids == 0))
        name = f"{number:04d}"
        (target / f"{name}.txt").write_text("\n".join(lines))
        lengths[name] = len(video["annotations"])
    return lengths


def mots_line(index: int, track: int, kind: int, mask: Any) -> str:
    """Return an object's line: frame, id, class, height, width, run lengths."""
    return f"{index} {track} {kind} {SIZE[0]} {SIZE[1]} {rle.encode(mask)['counts'].decode()}"


if __name__ == "__main__":
    sys.exit(main())
