"""What reads archives again: evaluation, which gives the bundle's own figures, and calibration."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from cli_calls import Segrt, fails

from segrt.export.precision.calibration import calibration_files
from segrt.runtime.errors import SegrtError
from segrt.runtime.scale.archive.archived_results import ArchivedResults
from segrt.runtime.segmenter import open_bundle
from segrt.runtime.stream.sources.video_file import VideoSource
from segrt.runtime.streetworld.moments import scattered
from segrt.runtime.streetworld.writing import write_dataset


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COCO panoptic data set of three streets."""
    folder = tmp_path_factory.mktemp("streets")
    write_dataset(folder, scattered(11, 3, (96, 160)))
    return folder


@pytest.mark.parametrize("technique", ["semantic", "instance", "panoptic"])
def test_an_archive_is_evaluated_as_the_bundle_is(
    technique: str, streets: Path, archive: Callable[..., Any], segrt: Segrt, tmp_path: Path
) -> None:
    bundle, out = f"street-{technique}", tmp_path / "out"
    archive(bundle, streets / "images", out=out)
    truth = ("--annotations", streets / "panoptic.json")
    keep = ("--score-threshold", "0.5") if technique == "instance" else ()  # else an instance bundle's becomes 0
    figures = []
    for name, subject in (("a", ("--predictions", out)), ("b", (bundle, *keep))):
        code, _, err = segrt("eval", *subject, *truth, "--json", tmp_path / f"{name}.json")
        assert code == 0, err
        text = (tmp_path / f"{name}.json").read_text()
        figures.append(text.replace(str(out), "SUBJECT").replace(bundle, "SUBJECT"))
    assert figures[0] == figures[1]


@pytest.mark.parametrize("technique", ["semantic", "instance", "panoptic"])
def test_results_come_back_as_they_were(
    technique: str, streets: Path, archive: Callable[..., Any], tmp_path: Path
) -> None:
    archive(f"street-{technique}", streets / "images", out=tmp_path / "out")
    archived = ArchivedResults(str(tmp_path / "out"))
    path = min((streets / "images").iterdir())
    with open_bundle(f"street-{technique}") as segmenter:
        result: Any = segmenter(path)
    back: Any = archived.result(str(path))
    assert back.to_rows() == result.to_rows()
    assert len(back) > 2
    if technique == "semantic":
        np.testing.assert_array_equal(back.class_map, result.class_map)
    elif technique == "panoptic":
        np.testing.assert_array_equal(back.segment_ids, result.segment_ids)
    else:
        assert back.rles == result.rles
    with pytest.raises(SegrtError, match="has no frame 7 of"):
        archived.result(str(path), 7)


def test_an_archive_that_lacks_a_picture_or_is_foreign_is_refused(
    streets: Path, archive: Callable[..., Any], segrt: Segrt, tmp_path: Path
) -> None:
    out, truth = tmp_path / "out", ("--annotations", streets / "panoptic.json")
    archive("street-panoptic", min((streets / "images").iterdir()), out=out)
    fails(segrt("eval", "--predictions", out, *truth), 2, f"{out} has no result of ", "archive it, too")
    clips = ("--annotations", "street://?clips=1&frames=2&width=160&height=96")
    fails(segrt("eval", "--predictions", out, *clips), 2, f"{out}: is an archive, whose things are not tracked")
    record = out / "dataset.json"
    record.write_text(record.read_text().replace('"format": "1.0"', '"format": "7.0"'))
    fails(segrt("eval", "--predictions", out, *truth), 2, "is a dataset of format '7.0'")


def test_frames_of_an_archive_calibrate(
    clip: Path, archive: Callable[..., Any], tiny: SimpleNamespace, tmp_path: Path
) -> None:
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), tiny.thirds(24, 48))
    bundle = tiny.bundle("argmax")
    archive(bundle, clip, picture, out=tmp_path / "out")
    files = calibration_files(tmp_path / "out", 6)
    assert len(files) == 6
    assert picture in files
    frames = {frame.index: frame.image for frame in VideoSource(clip, "clip").frames()}
    for path in files:
        if path != picture:
            np.testing.assert_array_equal(cv2.imread(str(path)), frames[int(path.stem.rpartition("-")[2])])
    clip_again = tmp_path / "moved.mp4"
    clip_again.write_bytes(clip.read_bytes())
    archive(bundle, clip_again, out=tmp_path / "other")
    clip_again.unlink()
    with pytest.raises(SegrtError, match=r"moved.mp4 is not on this device"):
        calibration_files(tmp_path / "other")
