"""Small clips with all that can go wrong on them: objects that jump ids, are missed, change class, lie on void."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.evaluate.truth import PanopticTruth, TruthSegment
from segrt.runtime.outputs.coco_results import categories, write_panoptic_png
from segrt.runtime.results import Label

LABELS = (
    Label("road", 0, False, (90, 90, 90)),
    Label("sky", 1, False, (80, 160, 240)),
    Label("car", 2, True, (0, 0, 200)),
    Label("person", 3, True, (200, 0, 0)),
)
SIZE = (40, 56)
CROWD = 900
STUFF = {0: 1, 1: 2}  # class → lasting id


@dataclass(frozen=True)
class MadeFrame:
    """What is there, and what a bad network and tracker say of it."""

    truth: PanopticTruth
    predicted: PanopticTruth


@dataclass
class _Box:
    """A true object, and how it is predicted: its ids before and after `switch`."""

    class_id: int
    track: int
    place: npt.NDArray[np.float64]
    speed: npt.NDArray[np.float64]
    sides: tuple[int, int]
    seen: tuple[int, int]
    predicted: tuple[int, int]
    switch: int
    turns_class: bool


def made_clip(seed: int, frames: int = 17, *, crowd: bool = True) -> list[MadeFrame]:
    """Return a clip of boxes that move over road and sky; ids of things are 100 times their class and more."""
    random = np.random.default_rng(seed)
    boxes = [_box(random, number, frames) for number in range(6)]
    return [_frame(random, boxes, index, crowd) for index in range(frames)]


def _box(random: np.random.Generator, number: int, frames: int) -> _Box:
    class_id = int(random.choice([2, 2, 3]))
    first = int(random.integers(0, frames // 2))
    new, old = 100 * class_id + 30 + number, 100 * class_id + 10 + number
    return _Box(
        class_id,
        100 * class_id + number,
        random.uniform(0, 1, 2) * (28, 42),
        random.uniform(-1.2, 1.2, 2),
        (int(random.integers(6, 14)), int(random.integers(6, 14))),
        (first, int(random.integers(first + 4, frames + 4))),
        (old, new if random.random() < 0.6 else old),
        int(random.integers(1, frames)),
        bool(random.random() < 0.25),
    )


def _frame(random: np.random.Generator, boxes: list[_Box], index: int, crowd: bool) -> MadeFrame:
    truth = np.full(SIZE, STUFF[0], np.int32)
    truth[:16] = STUFF[1]
    predicted = truth.copy()
    predicted[16 : 16 + int(random.integers(0, 4))] = STUFF[1]
    classes, guessed = {1: 0, 2: 1}, {1: 0, 2: 1}
    truth[30:38, 2:12] = 0
    if crowd:
        truth[2:12, 40:54], classes[CROWD] = CROWD, 3
    for box in boxes:
        if not box.seen[0] <= index < box.seen[1]:
            continue
        top, left = (int(value) for value in np.clip(box.place + index * box.speed, 0, (36, 50)))
        height, width = box.sides
        truth[top : top + height, left : left + width] = box.track
        classes[box.track] = box.class_id
        if random.random() < 0.12:
            continue
        later = index >= box.switch
        track = box.predicted[later]
        down, right = (int(value) for value in random.integers(-2, 3, 2))
        predicted[max(top + down, 0) : top + down + height, max(left + right, 0) : left + right + width] = track
        guessed[track] = 5 - box.class_id if box.turns_class and later else box.class_id
    for track, (row, column) in ((299, (31, 3)), (399, (4, 43)), (398, (20, 25))):  # on void, on the crowd, on nothing
        if random.random() < 0.5:
            predicted[row : row + 6, column : column + 7] = track
            guessed[track] = track // 100
    predicted[25:27, 30:34] = 0
    return MadeFrame(_panoptic(truth, classes), _panoptic(predicted, guessed))


def _panoptic(ids: npt.NDArray[np.int32], classes: dict[int, int]) -> PanopticTruth:
    present = [int(value) for value in np.unique(ids) if value]
    segments = tuple(TruthSegment(value, classes[value], value == CROWD) for value in present)
    return PanopticTruth(ids, segments, LABELS)


def made_clips(*, crowd: bool) -> list[list[MadeFrame]]:
    """Return the three clips of which the figures of public code are known."""
    return [made_clip(seed, crowd=crowd) for seed in (1, 2, 3)]


def write_panoptic_video(path: Path, clips: Sequence[Sequence[PanopticTruth]]) -> Path:
    """Write maps as COCO panoptic video: the JSON `path`, and PNG files in the folder of its name."""
    videos, annotations = [], []
    for number, clip in enumerate(clips):
        folder = path.with_suffix("") / f"clip{number}"
        folder.mkdir(parents=True, exist_ok=True)
        images, entries = [], []
        for index, image in enumerate(clip):
            name = f"{index:04d}.png"
            write_panoptic_png(folder / name, image.ids)
            images.append({"id": index, "file_name": name, "height": SIZE[0], "width": SIZE[1]})
            entries.append({"image_id": index, "file_name": name, "segments_info": _infos(image)})
        videos.append({"video_id": f"clip{number}", "images": images})
        annotations.append({"video_id": f"clip{number}", "annotations": entries})
    path.write_text(json.dumps({"videos": videos, "annotations": annotations, "categories": categories(LABELS)}))
    return path


def _infos(image: PanopticTruth) -> list[dict[str, int]]:
    return [
        {
            "id": segment.id,
            "category_id": LABELS[segment.class_id].dataset_id,
            "iscrowd": int(segment.iscrowd),
            "area": int((image.ids == segment.id).sum()),
        }
        for segment in image.segments
    ]


def write_step(folder: Path, clips: Sequence[Sequence[PanopticTruth]]) -> Path:
    """Write maps as KITTI-STEP has them: red the class, green and blue the object, 255 void, object 0 a crowd."""
    for number, clip in enumerate(clips):
        sequence = folder / f"{number:04d}"
        sequence.mkdir(parents=True, exist_ok=True)
        for index, image in enumerate(clip):
            picture = np.full((*SIZE, 3), (0, 0, 255), np.uint8)
            for segment in image.segments:
                label = LABELS[segment.class_id]
                track = segment.id if label.isthing and not segment.iscrowd else 0
                picture[image.ids == segment.id] = (track % 256, track // 256, label.dataset_id)
            cv2.imwrite(str(sequence / f"{index:06d}.png"), picture)
    return folder


def write_flat(folder: Path, clips: Sequence[Sequence[PanopticTruth]], *, truth: bool) -> Path:
    """Write maps as VPSNet has them: `folder` gets the JSON, and all PNG files in `panoptic_video` or `pan_pred`."""
    pngs = folder / ("panoptic_video" if truth else "pan_pred")
    pngs.mkdir(parents=True)
    images, annotations = [], []
    for number, clip in enumerate(clips):
        for index, image in enumerate(clip):
            image_id = f"{number + 1:04d}_{number * 30 + index:04d}_frankfurt_000000_{index:06d}"
            write_panoptic_png(pngs / f"{image_id}{'_final_mask' if truth else ''}.png", image.ids)
            images.append({"id": image_id, "file_name": f"{image_id}_newImg8bit.png", "height": 40, "width": 56})
            named = {"image_id": image_id, "file_name": f"{image_id}.png"}
            annotations.append({**named, "segments_info": _infos(image)})
    path = folder / ("truth.json" if truth else "pred.json")
    content = {"images": images[::-1], "annotations": annotations, "categories": categories(LABELS)}
    path.write_text(json.dumps(content if truth else {"annotations": annotations}))
    return path
