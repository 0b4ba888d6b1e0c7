"""Lets the tests of the pages import what reads them, and gives them the files that the pages name."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.evaluate.datasets.opening import DATASETS
from segrt.runtime.stream.sinks.sink_kinds import SINKS
from segrt.runtime.stream.sources.source_kinds import SOURCES

sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what the pages name: photo.jpg, clip.mp4, my.bundle, panoptic.json and others."""
    import cv2

    from segrt.runtime.streetworld.__main__ import main as make_streets

    folder = tmp_path_factory.mktemp("desk")
    before = Path.cwd()
    os.chdir(folder)
    try:
        for arguments in (
            ["streets", "--frames", "3", "--size", "96x160"],
            ["clip.mp4", "--frames", "6", "--size", "96x160"],
        ):
            make_streets.main(arguments, standalone_mode=False)
    finally:
        os.chdir(before)
    shutil.copytree(folder / "streets" / "images", folder / "images")
    shutil.copytree(folder / "streets" / "images", folder / "photos")
    shutil.copytree(folder / "streets" / "panoptic", folder / "panoptic")
    shutil.copy(folder / "streets" / "panoptic.json", folder)
    shutil.copy(folder / "clip.mp4", folder / "street.mp4")
    picture = cv2.imread(str(next((folder / "images").iterdir())))
    for name in ("photo.jpg", "street.png"):
        cv2.imwrite(str(folder / name), picture)
    shutil.copytree(read_bundle("street-panoptic").folder, folder / "my.bundle")
    shutil.copytree(folder / "my.bundle", folder / "my-bundle")
    return folder


@pytest.fixture(autouse=True)
def own_kinds() -> Iterator[None]:
    """Take out again what a page's example adds to segrt, so that tests after it see segrt as it is."""
    before = {registry: set(registry) for registry in (SINKS, SOURCES, DATASETS)}
    yield
    for registry, names in before.items():
        for name in set(registry) - names:
            registry.remove(name)
