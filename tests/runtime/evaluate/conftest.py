"""Puts the made clips and the slow figures of clips beside the tests, and gives clips in all layouts."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from made_clips import made_clips, write_flat, write_panoptic_video, write_step

from segrt.runtime.streetworld.clips import StreetClip
from segrt.runtime.streetworld.writing import write_clips


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
