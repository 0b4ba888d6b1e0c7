"""Training pictures of the street world, rendered once and kept as memory-mapped arrays.

Every frame comes from a world of its own. Seeds never meet: training, calibration and evaluation have their own ranges.
"""

import multiprocessing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from segrt.export.street.street_networks import GRID_STRIDE, MASK_STRIDE, SIZE, STUFF_CLASSES, normalise
from segrt.runtime.streetworld import StreetWorld
from segrt.runtime.streetworld.moments import drawn_time

TRAINING_SEED = 1_000_000
CALIBRATION_SEED = 800_000
EVALUATION_SEED = 900_000
VOID = 255
FIRST_THING = 16  # marks below are stuff classes
MAX_THINGS = 64
CHUNK = 200


@dataclass(frozen=True)
class Frames:
    """Rendered frames: `images` uint8 RGB (N, H, W, 3); `marks` uint8 (N, H, W); `classes` uint8 (N, MAX_THINGS).

    A mark is a stuff class, `FIRST_THING` + the thing's index into `classes`, or `VOID`.
    """

    images: npt.NDArray[np.uint8]
    marks: npt.NDArray[np.uint8]
    classes: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.images)


def render_frames(first_seed: int, count: int, folder: Path, workers: int = 2) -> Frames:
    """Render `count` frames into `folder`, or read them back from there when they have been rendered before."""
    shapes = {"images": (count, *SIZE, 3), "marks": (count, *SIZE), "classes": (count, MAX_THINGS)}
    paths = {name: folder / f"{first_seed}-{count}-{name}.npy" for name in shapes}
    if not all(path.exists() for path in paths.values()):
        folder.mkdir(parents=True, exist_ok=True)
        parts = {name: path.with_suffix(".part") for name, path in paths.items()}
        arrays = {name: np.lib.format.open_memmap(parts[name], "w+", np.uint8, shape) for name, shape in shapes.items()}
        chunks = [(start, min(CHUNK, count - start)) for start in range(0, count, CHUNK)]
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            for start, images, marks, classes in pool.imap_unordered(partial(_render_chunk, first_seed), chunks):
                end = start + len(images)
                arrays["images"][start:end], arrays["marks"][start:end], arrays["classes"][start:end] = (
                    images,
                    marks,
                    classes,
                )
        for name, path in paths.items():
            arrays[name].flush()
            parts[name].rename(path)
    return Frames(**{name: np.load(path, mmap_mode="r") for name, path in paths.items()})


def _render_chunk(
    first_seed: int, chunk: tuple[int, int]
) -> tuple[int, npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    start, count = chunk
    images = np.zeros((count, *SIZE, 3), np.uint8)
    marks = np.full((count, *SIZE), VOID, np.uint8)
    classes = np.full((count, MAX_THINGS), VOID, np.uint8)
    for row in range(count):
        seed = first_seed + start + row
        view = StreetWorld(seed).render(drawn_time(seed), SIZE)
        images[row] = view.image[..., ::-1]
        things = 0
        for segment in view.segments:
            inside = view.segment_ids == segment.id
            if segment.class_id < STUFF_CLASSES:
                marks[row][inside] = segment.class_id
            elif not segment.iscrowd and things < MAX_THINGS:
                marks[row][inside] = FIRST_THING + things
                classes[row, things] = segment.class_id
                things += 1
    return start, images, marks, classes


@dataclass(frozen=True)
class Things:
    """The T things of a batch: where they are and what they are."""

    image: Tensor  # int64 (T,): index into the batch
    mark: Tensor  # uint8 (T,)
    class_id: Tensor  # int64 (T,): among the thing classes
    center: Tensor  # float32 (T, 2): x, y of the visible pixels' mean, in cells of the grid
    area: Tensor  # float32 (T,) in pixels


@dataclass(frozen=True)
class Batch:
    """One step's data; h and w are the mask features' height and width."""

    images: Tensor  # float32 (B, 3, H, W), normalised
    marks: Tensor  # uint8 (B, H, W)
    semantic: Tensor  # int64 (B, h, w), VOID where unlabelled
    valid: Tensor  # float32 (B, h, w)
    things: Things

    def thing_masks(self) -> Tensor:
        """Return the share of each thing in every stride-2 pixel, float32 (T, h, w)."""
        masks = (self.marks[self.things.image] == self.things.mark[:, None, None]).float()
        return torch.nn.functional.avg_pool2d(masks, MASK_STRIDE)


def draw_batch(frames: Frames, size: int, random: np.random.Generator) -> Batch:
    """Draw frames with random mirroring, brightness, contrast and tint."""
    rows = np.sort(random.integers(0, len(frames), size))
    images = frames.images[rows].astype(np.float32)
    marks = frames.marks[rows]
    mirrored = random.random(size) < 0.5
    images[mirrored] = images[mirrored][:, :, ::-1]
    marks[mirrored] = marks[mirrored][:, :, ::-1]
    gain = random.uniform(0.75, 1.25, (size, 1, 1, 1)) * random.uniform(0.93, 1.07, (size, 1, 1, 3))
    images = np.clip(images * gain.astype(np.float32) + random.normal(0, 6, (size, 1, 1, 1)).astype(np.float32), 0, 255)
    tensor = normalise(torch.from_numpy(images.transpose(0, 3, 1, 2)))
    things, semantic = _label(marks, frames.classes[rows])
    return Batch(
        images=tensor.contiguous(memory_format=torch.channels_last),
        marks=torch.from_numpy(np.ascontiguousarray(marks)),
        semantic=semantic,
        valid=(semantic != VOID).float(),
        things=things,
    )


def _label(marks: npt.NDArray[np.uint8], classes: npt.NDArray[np.uint8]) -> tuple[Things, Tensor]:
    height, width = SIZE
    columns, rows = (
        axis.ravel().astype(np.float64) for axis in np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    )
    table = np.full((len(marks), 256), VOID, np.uint8)
    table[:, :STUFF_CLASSES] = np.arange(STUFF_CLASSES)
    rows_of_things: list[tuple[int, int, int, float, float, float]] = []
    for image, flat in enumerate(marks.reshape(len(marks), -1)):
        area = np.bincount(flat, minlength=256)
        sum_x, sum_y = np.bincount(flat, columns, 256), np.bincount(flat, rows, 256)
        for index, class_id in enumerate(classes[image]):
            mark = FIRST_THING + index
            if class_id == VOID or area[mark] == 0:
                continue
            table[image, mark] = class_id
            place = sum_x[mark] / area[mark] / GRID_STRIDE - 0.5, sum_y[mark] / area[mark] / GRID_STRIDE - 0.5
            rows_of_things.append((image, mark, int(class_id) - STUFF_CLASSES, *place, float(area[mark])))
    semantic = np.take_along_axis(table, marks.reshape(len(marks), -1).astype(np.int64), 1).reshape(marks.shape)
    values = np.asarray(rows_of_things, np.float32).reshape(-1, 6)
    things = Things(
        image=torch.from_numpy(values[:, 0].astype(np.int64)),
        mark=torch.from_numpy(values[:, 1].astype(np.uint8)),
        class_id=torch.from_numpy(values[:, 2].astype(np.int64)),
        center=torch.from_numpy(values[:, 3:5]),
        area=torch.from_numpy(values[:, 5]),
    )
    return things, torch.from_numpy(semantic[:, 1::MASK_STRIDE, 1::MASK_STRIDE].astype(np.int64))
