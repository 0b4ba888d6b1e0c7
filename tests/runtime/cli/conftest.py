"""The command line in this process, and two pictures."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))


from segrt.runtime.files.images import write_image


@pytest.fixture
def photos(tiny: SimpleNamespace, tmp_path: Path) -> Path:
    """Return a folder of two pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    write_image(folder / "000000000007.png", tiny.thirds(60, 90))
    write_image(folder / "000000000011.jpg", tiny.thirds(40, 120))
    return folder


@pytest.fixture
def photo(photos: Path) -> Path:
    """Return the first of `photos`, 60 high and 90 wide."""
    return photos / "000000000007.png"


@pytest.fixture(scope="session")
def pointing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle that takes prompts."""
    from pointing import write_pointing_bundle

    return write_pointing_bundle(tmp_path_factory.mktemp("prompts") / "pointing")
