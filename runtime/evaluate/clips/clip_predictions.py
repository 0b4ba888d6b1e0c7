"""Files of predictions for clips: COCO panoptic video (VPSNet's, too), YouTube-VIS's objects or results, KITTI-STEP."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.class_matching import thing_positions
from segrt.runtime.evaluate.conversion import Prediction
from segrt.runtime.evaluate.datasets.coco_files import CocoPanopticAnnotation, convert, read_panoptic
from segrt.runtime.evaluate.datasets.coco_video import is_panoptic_video, panoptic_annotations
from segrt.runtime.evaluate.datasets.dataset import ClipSpan, Dataset, ImageId, Sample, clips_of
from segrt.runtime.evaluate.datasets.kitti_step import StepDataset, StepValues, map_of_frame
from segrt.runtime.evaluate.datasets.vpsnet import flat_predictions
from segrt.runtime.evaluate.datasets.youtube_vis import VisMask, VisObject, VisVideo, masks_by_frame, packed
from segrt.runtime.files.reading import is_folder
from segrt.runtime.results import InstanceResult, Label, rle


@dataclass(frozen=True)
class PanopticClipPredictions:
    """A JSON of panoptic clips, and the folder of their PNG files; ids last over a clip."""

    path: Path
    folder: Path
    labels: tuple[Label, ...]
    annotations: dict[str, CocoPanopticAnnotation]
    technique = "panoptic"
    kind: Literal["segm", "bbox"] = "segm"

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def predict(self, sample: Sample, dataset: Dataset) -> Prediction:
        """Read the frame's PNG."""
        annotation = self.annotations.get(str(sample.image_id))
        if annotation is None:
            raise SegrtError(
                f"{self.path} has no prediction for frame {sample.image_id} of {dataset.path}; a clip needs every frame"
            )
        png = self.folder / annotation.file_name
        return read_panoptic(png, annotation, self.labels, sample.size, self.path, size_source=dataset.path)


@dataclass(frozen=True)
class StepPredictions:
    """A folder of KITTI-STEP's maps."""

    path: Path
    values: StepValues
    technique = "panoptic"
    kind: Literal["segm", "bbox"] = "segm"

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes of the maps."""
        return self.values.labels

    def predict(self, sample: Sample, dataset: Dataset) -> Prediction:  # noqa: ARG002 (every predictor takes it)
        """Read the frame's map."""
        return self.values.read(map_of_frame(self.path, str(sample.image_id)))


@dataclass(frozen=True)
class ObjectClipPredictions:
    """Objects of clips, by frame."""

    path: Path
    labels: tuple[Label, ...]
    frames: dict[ImageId, list[VisMask]]
    technique = "instance"
    kind: Literal["segm", "bbox"] = "segm"

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def predict(self, sample: Sample, dataset: Dataset) -> Prediction:
        """Return the frame's objects."""
        size = sample.size or dataset.read_truth(sample).size
        masks = self.frames.get(sample.image_id, [])
        codes = [packed(mask.code, size, self.path, sample.image_id) for mask in masks]
        return InstanceResult(
            boxes=rle.measure(codes)[1].astype(np.float32),
            scores=np.array([mask.score for mask in masks], np.float32),
            class_ids=np.array([mask.class_id for mask in masks], np.int64),
            rles=codes,
            size=size,
            labels=self.labels,
            track_ids=np.array([mask.track_id for mask in masks], np.int64),
        )


ClipPredictions = PanopticClipPredictions | StepPredictions | ObjectClipPredictions


def open_step_predictions(folder: Path, dataset: Dataset) -> StepPredictions:
    """Open a folder of maps; their red values are those of the data set's maps, or its classes' ids."""
    values = dataset.values if isinstance(dataset, StepDataset) else StepValues.of(tuple(dataset.labels))
    return StepPredictions(folder, values)


def open_clip_predictions(
    path: Path, content: Any, dataset: Dataset, predictions_dir: Path | None
) -> ClipPredictions | None:
    """Return the predictions in a JSON, `content` of `path`, for a data set of clips; None for results of pictures.

    Raises SegrtError for what does not fit, and for panoptic maps of single pictures, whose ids do not last.
    """
    entries = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        return None
    first = entries[0] if entries and isinstance(entries[0], dict) else {}
    if "panoptic" not in dataset.techniques and ("annotations" in first or "segments_info" in first):
        raise SegrtError(
            f"{path} is panoptic, but {dataset.path} has objects alone; give its objects, each with segmentations "
            "(YouTube-VIS), or judge it on panoptic truth"
        )
    if is_panoptic_video(entries):
        folder = predictions_dir if predictions_dir is not None else path.with_suffix("")
        if not is_folder(folder):
            raise SegrtError(f"{folder} is no folder; give the one with the predicted PNG files as --predictions-dir")
        annotations = panoptic_annotations(path, entries)
        _refuse_unknown(path, annotations, dataset)
        return PanopticClipPredictions(path, folder, tuple(dataset.labels), annotations)
    if "segments_info" in first and str(first.get("image_id")) in {str(one.image_id) for one in dataset.samples}:
        folder, annotations = flat_predictions(path, entries, predictions_dir)
        _refuse_unknown(path, annotations, dataset)
        return PanopticClipPredictions(path, folder, tuple(dataset.labels), annotations)
    if "segments_info" in first:
        raise SegrtError(
            f"{path} is of single pictures, but {dataset.path} of clips; write its annotations video by video, with "
            "ids that last over a clip (COCO panoptic video)"
        )
    if "segmentations" not in first:
        return None
    return _objects(path, content, convert(path, entries, list[VisObject]), dataset)


def _refuse_unknown(path: Path, annotations: dict[str, CocoPanopticAnnotation], dataset: Dataset) -> None:
    known = {str(sample.image_id) for sample in dataset.samples}
    strange = next((image_id for image_id in annotations if image_id not in known), None)
    if strange is not None:
        some = ", ".join(repr(str(sample.image_id)) for sample in dataset.samples[:2])
        raise SegrtError(
            f"{path}: is of frame {strange!r}, which {dataset.path} lacks; its frames are {some}, …; predict its "
            "videos, under their ids"
        )


def _objects(path: Path, content: Any, objects: Sequence[VisObject], dataset: Dataset) -> ObjectClipPredictions:
    spans = _spans_by_id(path, content, dataset)
    labels = tuple(dataset.labels[index] for index in thing_positions(dataset.labels))
    class_ids = {label.dataset_id: index for index, label in enumerate(labels)}
    by_clip: dict[str, list[VisObject]] = {}
    for entry in objects:
        if entry.video_id not in spans:
            some = ", ".join(repr(span.number) for span in clips_of(dataset)[:3])
            raise SegrtError(
                f"{path}: is of video {entry.video_id!r}, which {dataset.path} lacks; its ids are {some}, …; give "
                "results of its videos"
            )
        by_clip.setdefault(spans[entry.video_id].name, []).append(entry)
    frames: dict[ImageId, list[VisMask]] = {}
    for span in clips_of(dataset):
        masks = masks_by_frame(path, by_clip.get(span.name, []), span.stop - span.start, class_ids)
        samples = dataset.samples[span.start : span.stop]
        frames |= {sample.image_id: each for sample, each in zip(samples, masks, strict=True)}
    return ObjectClipPredictions(path, labels, frames)


def _spans_by_id(path: Path, content: Any, dataset: Dataset) -> dict[ImageId, ClipSpan]:
    """Return the clips by their ids in the predictions, which may list the videos by name."""
    spans = clips_of(dataset)
    by_name = {span.name: span for span in spans}
    by_id: dict[ImageId, ClipSpan] = {}
    for span in spans:
        by_id[span.name] = by_id[span.number] = span
    if isinstance(content, dict) and isinstance(content.get("videos"), list):
        videos = convert(path, content["videos"], list[VisVideo])
        by_id |= {video.id: by_name[video.known_as] for video in videos if video.known_as in by_name}
    return by_id
