"""Folders of pictures as a source: in natural order, and refused in one line."""

import numpy as np
import pytest

from segrt.runtime.errors import ImageError
from segrt.runtime.stream.sources.source_kinds import open_source


def test_a_folder_of_pictures_in_natural_order(tmp_path):
    from segrt.runtime.files.images import write_image

    for number in (10, 9, 1):
        write_image(tmp_path / f"f{number}.png", np.full((4, 5, 3), number, np.uint8))
    (tmp_path / "notes.txt").write_text("")
    source = open_source(tmp_path)
    frames = list(source.frames())
    assert source.info.frames == 3
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 9, 10]
    assert [(frame.index, frame.pts) for frame in frames] == [(0, None), (1, None), (2, None)]
    assert len(list(open_source(tmp_path / "f9.png").frames())) == 1


def test_bad_pictures_are_refused(tmp_path):
    with pytest.raises(ImageError, match="no pictures"):
        open_source(tmp_path)
    with pytest.raises(ImageError, match="no such file"):
        open_source(tmp_path / "a.png")
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"a\.png"):
        list(open_source(tmp_path / "a.png").frames())
