"""Clips of objects as YouTube-VIS has them: an annotation is an object, with a mask a frame, null where it is not seen.

Format: https://youtube-vos.org/dataset/vis (Yang et al. 2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.datasets.clip_frames import check_order, checked_spans, frame_id, frame_size
from segrt.runtime.evaluate.datasets.coco_files import convert
from segrt.runtime.evaluate.datasets.coco_masks import CocoRle, mask_problem
from segrt.runtime.evaluate.datasets.dataset import ClipSpan, ImageId, Sample, checked_image
from segrt.runtime.evaluate.truth import InstanceTruth
from segrt.runtime.files.images import Picture
from segrt.runtime.results import Label, rle


class VisVideo(msgspec.Struct, frozen=True):
    """An entry of `videos` of a YouTube-VIS file; `name` is ours."""

    id: ImageId
    file_names: tuple[str, ...]
    height: int
    width: int
    name: str = ""

    @property
    def known_as(self) -> str:
        """What the clip is called: the folder of its files, where nothing else is said."""
        folder = Path(self.file_names[0]).parent.name if self.file_names else ""
        return self.name or folder or str(self.id)


class VisObject(msgspec.Struct, frozen=True):
    """An object of a YouTube-VIS file or of results; the former have an id, the latter a score."""

    video_id: ImageId
    category_id: int
    segmentations: tuple[CocoRle | None, ...]
    id: int | None = None
    iscrowd: int | bool = 0
    score: float = 1.0


@dataclass(frozen=True)
class VisMask:
    """An object in one frame."""

    track_id: int
    class_id: int
    iscrowd: bool
    score: float
    code: CocoRle


@dataclass(frozen=True)
class VideoInstanceDataset:
    """Clips of objects."""

    path: Path
    labels: tuple[Label, ...]
    samples: tuple[Sample, ...]
    clips: tuple[ClipSpan, ...]

    @property
    def techniques(self) -> tuple[str, ...]:
        """Instance alone."""
        return ("instance",)

    def read_image(self, sample: Sample) -> Picture:
        """Read a frame; raise SegrtError for another size than the JSON says."""
        return checked_image(sample, self.path)

    def read_truth(self, sample: Sample) -> InstanceTruth:
        """Return a frame's objects; `track_id` says which each is, category_id is the class id."""
        assert sample.size is not None
        objects = []
        for mask in sample.annotation:
            code = packed(mask.code, sample.size, self.path, sample.image_id)
            areas, edges = rle.measure([code])
            x0, y0, x1, y1 = edges[0].tolist()
            objects.append(
                {
                    "track_id": mask.track_id,
                    "category_id": mask.class_id,
                    "iscrowd": int(mask.iscrowd),
                    "area": int(areas[0]),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "segmentation": code,
                }
            )
        return InstanceTruth(objects, sample.size, self.labels)


def open_youtube_vis(
    path: Path, content: dict[str, Any], labels: tuple[Label, ...], images: Path
) -> VideoInstanceDataset:
    """Open the JSON of clips of objects, `content` of `path`; see `open_dataset`."""
    class_ids = {label.dataset_id: index for index, label in enumerate(labels)}
    videos = convert(path, content["videos"], list[VisVideo])
    by_video: dict[ImageId, list[VisObject]] = {video.id: [] for video in videos}
    seen: set[int | None] = set()
    for entry in convert(path, content["annotations"], list[VisObject]):
        if entry.id is None or entry.id in seen:
            raise SegrtError(f"{path} has an object with id {entry.id}, which is no id of its own; number all objects")
        seen.add(entry.id)
        if entry.video_id not in by_video:
            raise SegrtError(f"{path} annotates video {entry.video_id!r}, which is not in its videos; add it there")
        by_video[entry.video_id].append(entry)
    samples: list[Sample] = []
    spans: list[ClipSpan] = []
    for video in videos:
        size = frame_size(path, video.height, video.width)
        if size is None:
            raise SegrtError(f"{path} has video {video.id!r} without height or width; both are needed")
        check_order(path, video.known_as, video.file_names)
        start = len(samples)
        frames = masks_by_frame(path, by_video[video.id], len(video.file_names), class_ids)
        for name, masks in zip(video.file_names, frames, strict=True):
            samples.append(Sample(frame_id(video.known_as, Path(name).stem), images / name, size, tuple(masks)))
        spans.append(ClipSpan(video.known_as, start, len(samples), number=video.id))
    return VideoInstanceDataset(path, labels, tuple(samples), checked_spans(path, spans))


def masks_by_frame(
    path: Path, objects: Sequence[VisObject], length: int, class_ids: dict[int, int]
) -> list[list[VisMask]]:
    """Return the objects of a clip of `length` frames, frame by frame; raise SegrtError for one that does not fit."""
    frames: list[list[VisMask]] = [[] for _ in range(length)]
    for number, entry in enumerate(objects):
        if len(entry.segmentations) != length:
            raise SegrtError(
                f"{path}: an object of video {entry.video_id!r} has {len(entry.segmentations)} masks, but the video "
                f"has {length} frames; give one for each, null where it is not seen"
            )
        if entry.category_id not in class_ids:
            raise SegrtError(
                f"{path}: an object of video {entry.video_id!r} has category {entry.category_id}, which is not in the "
                "categories; add it or correct the object"
            )
        track_id = number if entry.id is None else entry.id
        class_id = class_ids[entry.category_id]
        for frame, code in zip(frames, entry.segmentations, strict=True):
            if code is not None:
                frame.append(VisMask(track_id, class_id, bool(entry.iscrowd), entry.score, code))
    return frames


def packed(code: CocoRle, size: tuple[int, int], source: Path, image_id: ImageId) -> rle.Rle:
    """Return a mask's run lengths in their compressed form; raise SegrtError when they are not of `size` (H, W)."""
    problem = mask_problem(code, size)
    if problem is not None:
        raise SegrtError(f"{source}: a mask of frame {image_id} {problem}; write masks of the frame's (height, width)")
    if isinstance(code.counts, str):
        return {"size": list(size), "counts": code.counts.encode("ascii")}
    inside = np.arange(len(code.counts)) % 2 == 1
    mask = np.repeat(inside, code.counts).reshape(size[1], size[0]).T
    return rle.encode(np.ascontiguousarray(mask))
