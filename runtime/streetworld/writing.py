"""The street world as files: a COCO panoptic data set, clips with lasting truth, or an mp4."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from segrt.runtime.files.atomic import make_folder
from segrt.runtime.files.images import write_image
from segrt.runtime.outputs.clip_results import ClipFolder
from segrt.runtime.outputs.coco_results import image_entry, write_panoptic_json, write_panoptic_png
from segrt.runtime.results.labels.label import Label
from segrt.runtime.streetworld.clips import StreetClip
from segrt.runtime.streetworld.taxonomy import street_labels
from segrt.runtime.streetworld.world import StreetView


def write_dataset(folder: Path, views: Iterable[StreetView]) -> None:
    """Write `images/*.png`, `panoptic/*.png` and `panoptic.json` in COCO's panoptic format; things keep their ids.

    Raises SegrtError when the folder cannot be written.
    """
    labels = street_labels()
    image_folder, png_folder = make_folder(folder / "images"), make_folder(folder / "panoptic")
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index, view in enumerate(views):
        name = f"{index:06d}.png"
        write_image(image_folder / name, view.image)
        write_panoptic_png(png_folder / name, view.segment_ids)
        height, width = view.segment_ids.shape
        images.append(image_entry(index, name, (height, width)))
        annotations.append({"image_id": index, "file_name": name, "segments_info": _segments(view, labels)})
    write_panoptic_json(folder / "panoptic.json", images, annotations, labels)


def _segments(view: StreetView, labels: Sequence[Label]) -> list[dict[str, Any]]:
    entries = []
    for segment in view.segments:
        rows, columns = np.nonzero(view.segment_ids == segment.id)
        left, top = int(columns.min()), int(rows.min())
        box = [left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top]
        entries.append(
            {
                "id": segment.id,
                "category_id": labels[segment.class_id].dataset_id,
                "iscrowd": int(segment.iscrowd),
                "area": segment.area,
                "bbox": box,
            }
        )
    return entries


def write_clips(folder: Path, clips: Iterable[StreetClip]) -> None:
    """Write `images/CLIP/*.png` and the truth of `ClipFolder`; raise SegrtError when the folder cannot be written."""
    files = ClipFolder(folder, street_labels(), scored=False)
    for clip in clips:
        image_folder = make_folder(folder / "images" / clip.name)
        files.begin(clip.name, clip.size)
        for frame in clip:
            name = f"{frame.index:06d}.png"
            write_image(image_folder / name, frame.image)
            files.add(frame.truth, f"{frame.index:06d}", f"{clip.name}/{name}")
    files.write()


def write_video(path: Path, views: Iterable[StreetView], fps: float) -> None:
    """Write the views' images as an H.264 mp4 of `fps` frames a second; raises VideoError when it cannot be written."""
    from segrt.runtime.outputs.video_writer import Mp4Writer

    writer = Mp4Writer(path, rate=Fraction(fps).limit_denominator(1001), crf=16)
    try:
        for index, view in enumerate(views):
            writer.write(view.image, index / fps)
    finally:
        writer.close()
