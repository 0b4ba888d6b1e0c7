"""Results of clips as files: panoptic PNGs whose ids last over a clip, and YouTube-VIS's objects of many frames.

`FOLDER/panoptic/CLIP/FRAME.png` beside `FOLDER/panoptic.json`, as VIPSeg (Miao et al. 2022) and VPSNet (Kim et al.
2020) have them: COCO's panoptic format, with `videos` for `images` and a list of annotations a video.
`FOLDER/objects.json` is YouTube-VIS's (Yang et al. 2019): an object is one annotation, with a mask for each frame, null
where it is not seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from segrt.runtime.files.atomic import make_folder, write_atomic
from segrt.runtime.files.json_files import encode_json
from segrt.runtime.outputs.coco_results import categories, image_entry, write_panoptic_png
from segrt.runtime.results import InstanceResult, Label, PanopticResult, rle
from segrt.runtime.results.coco_entries import ImageId
from segrt.runtime.results.remap import remap

PANOPTIC, OBJECTS = "panoptic.json", "objects.json"
HIGHEST_ID = (1 << 24) - 1  # what a PNG's colours hold


@dataclass
class _Object:
    """An object of a clip: what it is, its highest score, and its mask in each frame so far; None where not seen."""

    class_id: int
    score: float
    masks: list[rle.Rle | None]


@dataclass
class _ClipOfFiles:
    """What was added of one clip."""

    name: str
    size: tuple[int, int]
    image_ids: list[ImageId] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    objects: dict[tuple[int, int], _Object] = field(default_factory=dict)
    given: int = HIGHEST_ID  # the next id of what has no track, from above


class ClipFolder:
    """Writes tracked results clip by clip; PNG files at once, the JSON files by `write`.

    `scored`: objects carry a score, as YouTube-VIS's results do and its truth does not.
    """

    def __init__(self, folder: Path, labels: Sequence[Label], *, scored: bool = True) -> None:
        self._folder, self._labels, self._scored = folder, tuple(labels), scored
        self._clips: list[_ClipOfFiles] = []

    def begin(self, clip: str, size: tuple[int, int]) -> None:
        """Begin a clip of pictures (height, width); its frames follow in order."""
        self._clips.append(_ClipOfFiles(clip, size))

    def add(self, result: PanopticResult | InstanceResult, image_id: ImageId, picture: str) -> None:
        """Add the next frame of the clip; `picture` is its file, below the folder of pictures."""
        clip = self._clips[-1]
        clip.image_ids.append(image_id)
        clip.pictures.append(picture)
        if isinstance(result, PanopticResult):
            self._add_map(clip, result, image_id, Path(picture).with_suffix(".png").name)
            seen = [
                (item.track_id, item.class_id, float(item.score), rle.encode(result.segment_ids == item.id))
                for item in result.segments
                if item.isthing and item.track_id is not None
            ]
        else:
            seen = [
                (item.track_id, item.class_id, item.score, item.rle) for item in result if item.track_id is not None
            ]
        for track_id, class_id, score, mask in seen:
            known = clip.objects.setdefault((track_id, class_id), _Object(class_id, score, []))
            known.score = max(known.score, score)
            known.masks += [None] * (len(clip.image_ids) - 1 - len(known.masks))
            known.masks.append(mask)

    def write(self) -> list[Path]:
        """Write the JSON files of all clips, of panoptic results both; return their paths."""
        make_folder(self._folder)
        paths = []
        if any(clip.annotations for clip in self._clips):
            paths.append(self._write(PANOPTIC, self._panoptic()))
        paths.append(self._write(OBJECTS, self._objects()))
        return paths

    def _write(self, name: str, content: dict[str, Any]) -> Path:
        write_atomic(self._folder / name, encode_json(content) + b"\n")
        return self._folder / name

    def _add_map(self, clip: _ClipOfFiles, result: PanopticResult, image_id: ImageId, name: str) -> None:
        """Write the PNG of one frame, ids being those of tracks; what has no track gets an id of this frame alone."""
        table = {}
        for item in result.segments:
            if item.track_id is not None:
                table[item.id] = item.track_id
            else:
                table[item.id], clip.given = clip.given, clip.given - 1
        png_folder = make_folder(self._folder / "panoptic" / clip.name)
        ids = remap(result.segment_ids, table, default=0, dtype=np.dtype(np.int32))
        write_panoptic_png(png_folder / name, ids)
        entry = result.to_coco(image_id, name)
        for info in entry["segments_info"]:
            info["id"] = table[info["id"]]
        clip.annotations.append(entry)

    def _panoptic(self) -> dict[str, Any]:
        videos, annotations = [], []
        for clip in self._clips:
            images = [
                image_entry(image_id, Path(picture).name, clip.size)
                for image_id, picture in zip(clip.image_ids, clip.pictures, strict=True)
            ]
            videos.append({"video_id": clip.name, "images": images})
            annotations.append({"video_id": clip.name, "annotations": clip.annotations})
        return {"videos": videos, "annotations": annotations, "categories": categories(self._labels)}

    def _objects(self) -> dict[str, Any]:
        videos: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, clip in enumerate(self._clips, start=1):
            height, width = clip.size
            video = {"id": number, "name": clip.name, "height": height, "width": width, "length": len(clip.image_ids)}
            videos.append({**video, "file_names": clip.pictures})
            for (track_id, _), known in clip.objects.items():
                known.masks += [None] * (len(clip.image_ids) - len(known.masks))
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "video_id": number,
                        "track_id": track_id,
                        "category_id": self._labels[known.class_id].dataset_id,
                        "iscrowd": 0,
                        "height": height,
                        "width": width,
                        "length": len(clip.image_ids),
                        **({"score": round(known.score, 6)} if self._scored else {}),
                        **_tracks_of(known.masks),
                    }
                )
        things = [entry for entry in categories(self._labels) if entry["isthing"]]
        return {"videos": videos, "annotations": annotations, "categories": things}


def _tracks_of(masks: Sequence[rle.Rle | None]) -> dict[str, Any]:
    """Return YouTube-VIS's three lists of an object, an entry a frame: masks, areas and boxes (x, y, width, height)."""
    present = [mask for mask in masks if mask is not None]
    areas, edges = rle.measure(present)
    each = iter(zip(present, areas.tolist(), edges.tolist(), strict=True))
    entries = [next(each) if mask is not None else None for mask in masks]
    return {
        "segmentations": [entry and rle.text(entry[0]) for entry in entries],
        "areas": [entry and entry[1] for entry in entries],
        "bboxes": [entry and [entry[2][0], entry[2][1], *_sides(entry[2])] for entry in entries],
    }


def _sides(edges: Sequence[int]) -> tuple[int, int]:
    x0, y0, x1, y1 = edges
    return x1 - x0, y1 - y0
