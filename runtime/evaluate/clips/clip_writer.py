"""Predictions of clips as files that `segrt eval --predictions` reads again, in the data set's own category ids.

Panoptic: `panoptic.json`, COCO panoptic video, or VPSNet's one list where the data set has that, beside
`panoptic/CLIP/FRAME.png`, whose ids last over a clip. Instance: `instances.json`, YouTube-VIS's results: an object
each, with a mask or null for every frame, and the mean of its scores.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate import conversion
from segrt.runtime.evaluate.class_matching import ClassMatch
from segrt.runtime.evaluate.clips.clip_ids import check_unique, lasting_ids
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.datasets.dataset import ClipSpan, Dataset, Sample, clips_of
from segrt.runtime.evaluate.prediction_writer import NAMES, PredictionSink, png_name
from segrt.runtime.evaluate.truth import PanopticTruth
from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.files.json_files import encode_json
from segrt.runtime.outputs.coco_results import categories, categories_of, meant, write_panoptic_png
from segrt.runtime.results import InstanceResult, Label, PanopticResult, rle
from segrt.runtime.results.remap import remap

_STUFF = 1 << 20  # in maps, ids of stuff are these and more, one a class: no clip has so many tracks
_UNTRACKED = 1 << 23  # and of things that nobody tracked, each its own


class ClipPredictionSink(PredictionSink):
    """Writes PNG files at once and hands back the entries of the JSON; clips' frames come in their order."""

    _untracked = 0

    def add(self, sample: Sample, prediction: Prediction, match: ClassMatch) -> list[dict[str, Any]]:
        """Save one frame's prediction in the data set's numbering; return its entries."""
        if isinstance(prediction, InstanceResult):
            return [*self._objects(sample, prediction, match)]
        whole = conversion.panoptic(prediction, match)
        result = whole.to_result() if isinstance(whole, PanopticTruth) else self._lasting(whole)
        name = png_name(sample.image_id)
        path = self.folder / "panoptic" / name
        make_folder(path.parent)
        write_panoptic_png(path, result.segment_ids)
        return [result.to_coco(str(sample.image_id), name)]

    def write(
        self, technique: str, entries: Sequence[dict[str, Any]], dataset: Dataset, labels: Sequence[Label]
    ) -> Path:
        """Write the JSON of all entries; return its path."""
        path = make_folder(self.folder) / NAMES[technique]
        if technique == "panoptic":
            listed = meant(categories(labels), categories_of(entries))
            content: Any = {**_by_clip(entries, dataset), "categories": listed}
        else:
            content = _tracks(entries, dataset)
        write_atomic(path, encode_json(content) + b"\n")
        return path

    def _lasting(self, result: PanopticResult) -> PanopticResult:
        """Return the result with the tracks' ids for those of its segments; stuff has one a class."""
        check_unique(lasting_ids(result))
        segments, table = [], dict[int, int]()
        for segment in result.segments:
            if not result.labels[segment.class_id].isthing:
                lasting = _STUFF + segment.class_id
            elif segment.track_id is None:
                lasting = self._new()
            else:
                lasting = segment.track_id
            table[segment.id] = lasting
            segments.append(replace(segment, id=lasting))
        if any(segment.track_id is not None and segment.track_id >= _STUFF for segment in result.segments):
            raise SegrtError(f"--save: a clip has track {_STUFF} or above, for which a PNG has no room; leave it out")
        ids = remap(result.segment_ids, table, default=0, dtype=np.dtype(np.int32))
        return PanopticResult.decided(ids, segments, result.labels)

    def _objects(self, sample: Sample, prediction: InstanceResult, match: ClassMatch) -> Sequence[dict[str, Any]]:
        entries = []
        for item in prediction:
            place = int(match.model[item.class_id])
            if place < 0:
                continue
            tracked = item.track_id is not None and item.track_id >= 0
            entries.append(
                {
                    "frame": str(sample.image_id),
                    "track": item.track_id if tracked else self._new(),
                    "category_id": match.labels[place].dataset_id,
                    "score": float(item.score),
                    "segmentation": rle.text(item.rle),
                }
            )
        return entries

    def _new(self) -> int:
        self._untracked += 1
        return _UNTRACKED + self._untracked


def _by_clip(entries: Sequence[dict[str, Any]], dataset: Dataset) -> dict[str, Any]:
    """Return the annotations of panoptic clips, video by video where frames are named by theirs, else in one list."""
    spans = clips_of(dataset)
    if not all(_below(dataset, span, place) for span in spans for place in range(span.start, span.stop)):
        return {"annotations": list(entries)}
    by_id = {entry["image_id"]: entry for entry in entries}
    annotations = []
    for span in spans:
        frames = []
        for place in range(span.start, span.stop):
            whole, inside = str(dataset.samples[place].image_id), _below(dataset, span, place)
            frames.append({**by_id[whole], "image_id": inside})
        annotations.append({"video_id": span.name, "annotations": frames})
    return {"annotations": annotations}


def _below(dataset: Dataset, span: ClipSpan, place: int) -> str:
    """Return a frame's id within its clip, "" where it is not called by its clip."""
    before, _, inside = str(dataset.samples[place].image_id).partition(f"{span.name}/")
    return "" if before else inside


def _tracks(entries: Sequence[dict[str, Any]], dataset: Dataset) -> list[dict[str, Any]]:
    """Return YouTube-VIS's results: a track that changes its class is an object of each."""
    by_frame: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        by_frame.setdefault(entry["frame"], []).append(entry)
    results = []
    for span in clips_of(dataset):
        found: dict[tuple[int, int], list[dict[str, Any] | None]] = {}
        for offset, sample in enumerate(dataset.samples[span.start : span.stop]):
            for entry in by_frame.get(str(sample.image_id), ()):
                key = entry["track"], entry["category_id"]
                found.setdefault(key, [None] * (span.stop - span.start))[offset] = entry
        for (track, category), frames in found.items():
            seen = [frame["score"] for frame in frames if frame is not None]
            masks = [None if frame is None else frame["segmentation"] for frame in frames]
            results.append(
                {
                    "video_id": span.number if span.number != "" else span.name,
                    "id": track,
                    "category_id": category,
                    "score": sum(seen) / len(seen),
                    "segmentations": masks,
                }
            )
    return results
