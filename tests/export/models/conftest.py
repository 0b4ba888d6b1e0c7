"""Lets the families' tests import the harness, and gives them real photos."""

import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


@pytest.fixture(scope="session")
def photos(fixtures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three real photos, of different sizes; skips where the shared fixtures are missing."""
    folder = tmp_path_factory.mktemp("photos")
    images = sorted((fixtures / "coco_panoptic" / "images").glob("*.jpg"))
    for path in images[:: len(images) // 3][:3]:
        shutil.copy(path, folder)
    return folder
