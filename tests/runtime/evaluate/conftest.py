"""Puts the made clips, the known scenes and the slow figures beside the tests, and gives data sets of them."""

import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from made_clips import made_clips, write_flat, write_panoptic_video, write_step
from oracle import LABELS, SEGMENTS, scene

from segrt.runtime.outputs import coco_results
from segrt.runtime.streetworld.clips import StreetClip
from segrt.runtime.streetworld.writing import write_clips


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A COCO panoptic data set of three pictures; picture n is grey of level n."""
    images, annotations = [], []
    (tmp_path / "images").mkdir()
    (tmp_path / "truth").mkdir()
    for number in range(3):
        ids = scene(number)
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), np.full((60, 80, 3), number, np.uint8))
        coco_results.write_panoptic_png(tmp_path / "truth" / f"{number}.png", ids)
        images.append({"id": number, "file_name": f"{number}.png", "height": 60, "width": 80})
        info = [
            {
                "id": identity,
                "category_id": LABELS[class_id].dataset_id,
                "iscrowd": int(identity == 5),
                "area": int((ids == identity).sum()),
                "bbox": list(cv2.boundingRect((ids == identity).astype(np.uint8))),
            }
            for identity, class_id in SEGMENTS.items()
        ]
        annotations.append({"image_id": number, "file_name": f"{number}.png", "segments_info": info})
    coco_results.write_panoptic_json(tmp_path / "truth.json", images, annotations, LABELS)
    return tmp_path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The made clips in the layouts of panoptic maps: `truth` and `predicted` JSON, `step` and `step_predicted`."""
    folder = tmp_path_factory.mktemp("made")
    clips = made_clips(crowd=True)
    sides = [[getattr(frame, side) for frame in clip] for side in ("truth", "predicted") for clip in clips]
    truth, predicted = sides[:3], sides[3:]
    return SimpleNamespace(
        flat=write_flat(folder / "flat", truth, truth=True),
        flat_predicted=write_flat(folder / "flat_guessed", predicted, truth=False),
        truth=write_panoptic_video(folder / "truth.json", truth),
        predicted=write_panoptic_video(folder / "predicted.json", predicted),
        step=write_step(folder / "panoptic_maps" / "val", truth).parent,
        step_predicted=write_step(folder / "guessed", predicted),
    )


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of street as files: those of street://?clips=2&seed=5&frames=8&width=96&height=64&fps=4."""
    folder = tmp_path_factory.mktemp("street")
    write_clips(folder, [StreetClip(seed, 8, (64, 96), 4.0) for seed in (5, 6)])
    return folder
