"""Clips of panoptic maps as COCO panoptic video, in VIPSeg's layout (Miao et al. 2022).

A JSON has `videos` of images, and `annotations` of one list of panoptic annotations a video; the PNG files lie in a
folder a video, and their ids are those of one object over the whole clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.datasets.clip_frames import below, check_order, checked_spans, frame_id, frame_size
from segrt.runtime.evaluate.datasets.coco_files import CocoImage, CocoPanopticAnnotation, convert
from segrt.runtime.evaluate.datasets.dataset import ClipSpan, ImageId, Sample
from segrt.runtime.evaluate.datasets.panoptic_pngs import PanopticDataset
from segrt.runtime.evaluate.datasets.youtube_vis import VideoInstanceDataset, open_youtube_vis
from segrt.runtime.files.reading import is_folder
from segrt.runtime.results import Label


class CocoVideo(msgspec.Struct, frozen=True):
    """An entry of `videos` of a panoptic file."""

    video_id: ImageId
    images: tuple[CocoImage, ...]


class CocoVideoAnnotation(msgspec.Struct, frozen=True):
    """An entry of `annotations` of a panoptic file: one video."""

    video_id: ImageId
    annotations: tuple[CocoPanopticAnnotation, ...]


@dataclass(frozen=True)
class VideoPanopticDataset(PanopticDataset):
    """Clips of panoptic truth, whose ids last over a clip; its samples are their frames, clip after clip."""

    clips: tuple[ClipSpan, ...]


def is_video(content: dict[str, Any]) -> bool:
    """Whether a JSON is of clips."""
    return isinstance(content.get("videos"), list)


def is_panoptic_video(entries: Sequence[Any]) -> bool:
    """Whether annotations are of panoptic clips, and not of objects."""
    return bool(entries) and isinstance(entries[0], dict) and "annotations" in entries[0]


def open_video(
    path: Path, content: dict[str, Any], labels: tuple[Label, ...], images: Path, panoptic_dir: Path | None
) -> VideoPanopticDataset | VideoInstanceDataset:
    """Open the JSON of clips, `content` of `path`; see `open_dataset`."""
    if not is_panoptic_video(content["annotations"]):
        return open_youtube_vis(path, content, labels, images)
    png_folder = panoptic_dir if panoptic_dir is not None else path.with_suffix("")
    if not is_folder(png_folder):
        raise SegrtError(f"{png_folder} is no folder; give the one with the panoptic PNG files as --panoptic-dir")
    annotated = panoptic_annotations(path, content["annotations"])
    samples: list[Sample] = []
    spans: list[ClipSpan] = []
    for video in convert(path, content["videos"], list[CocoVideo]):
        check_order(path, str(video.video_id), [image.file_name for image in video.images])
        start = len(samples)
        for image in video.images:
            image_id = frame_id(video.video_id, image.id)
            if image_id not in annotated:
                raise SegrtError(
                    f"{path}: frame {image.id!r} of video {video.video_id!r} has no annotation; a clip needs one for "
                    "each frame"
                )
            place = images / below(video.video_id, image.file_name)
            samples.append(Sample(image_id, place, frame_size(path, image.height, image.width), annotated[image_id]))
        spans.append(ClipSpan(str(video.video_id), start, len(samples), number=video.video_id))
    listed = {str(sample.image_id) for sample in samples}
    strange = next((image_id for image_id in annotated if image_id not in listed), None)
    if strange is not None:
        raise SegrtError(f"{path} annotates frame {strange!r}, which is in none of its videos; add it there")
    return VideoPanopticDataset(path, png_folder, labels, tuple(samples), checked_spans(path, spans))


def panoptic_annotations(path: Path, entries: Any) -> dict[str, CocoPanopticAnnotation]:
    """Return the annotation of each frame, by `frame_id`; file names are below the folder of all videos."""
    annotated: dict[str, CocoPanopticAnnotation] = {}
    for video in convert(path, entries, list[CocoVideoAnnotation]):
        for entry in video.annotations:
            image_id = frame_id(video.video_id, entry.image_id)
            if image_id in annotated:
                raise SegrtError(f"{path} annotates frame {image_id!r} twice; each frame has one annotation")
            annotated[image_id] = msgspec.structs.replace(entry, file_name=below(video.video_id, entry.file_name))
    return annotated
