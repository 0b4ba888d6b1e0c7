"""Clips with lasting truth: ids outlive occlusions, things meet, the two layouts on disk say the same."""

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from segrt.runtime.results import rle
from segrt.runtime.results.coco_format import read_panoptic_png
from segrt.runtime.streetworld import StreetWorld
from segrt.runtime.streetworld.__main__ import main
from segrt.runtime.streetworld.clips import StreetClip

SIZE = (96, 160)


def sightings(clip: StreetClip) -> dict[int, list[tuple[int, int, tuple[int, int, int, int]]]]:
    """Return (frame, class, box) of each thing's sightings, by track."""
    seen: dict[int, list[tuple[int, int, tuple[int, int, int, int]]]] = {}
    for frame in clip:
        for item in frame.truth.segments:
            if item.isthing and item.track_id is not None:
                seen.setdefault(item.track_id, []).append((frame.index, item.class_id, item.bbox))
    return seen


def hidden_inside(track: list[tuple[int, int, tuple[int, int, int, int]]]) -> bool:
    """Whether it is unseen for two frames or more and comes back, away from the picture's edges."""
    for (last, _, box), (again, _, _) in pairwise(track):
        if again - last > 2 and box[0] > 2 and box[0] + box[2] < SIZE[1] - 2:
            return True
    return False


def test_things_keep_their_ids_through_occlusions_in_every_clip() -> None:
    for seed in (3, 4):
        tracks = sightings(StreetClip(seed, frames=60, size=SIZE, fps=10.0))
        assert all(len({class_id for _, class_id, _ in track}) == 1 for track in tracks.values())
        assert any(hidden_inside(track) for track in tracks.values()), f"nothing is hidden in clip {seed}"


def test_meetings_bring_things_that_pass_each_other() -> None:
    quiet = StreetClip(3, frames=40, size=SIZE, fps=8.0, meetings=0, busy=0.0)
    staged = StreetClip(3, frames=40, size=SIZE, fps=8.0, meetings=1, busy=0.0)
    assert not sightings(quiet)
    first, second = sightings(staged).values()
    left = [{index: box[0] + box[2] / 2 for index, _, box in track} for track in (first, second)]
    common = sorted(set(left[0]) & set(left[1]))
    order = [left[0][index] < left[1][index] for index in common]
    assert True in order
    assert False in order


def test_a_frame_depends_on_the_clip_alone() -> None:
    clip = StreetClip(9, frames=30, size=SIZE)
    later, again = clip.frame(17), StreetClip(9, frames=30, size=SIZE).frame(17)
    np.testing.assert_array_equal(later.image, again.image)
    np.testing.assert_array_equal(later.truth.segment_ids, again.truth.segment_ids)
    assert later.truth.segments == again.truth.segments
    assert later.pts == 17 / 12.5


def test_without_meetings_it_is_the_street_of_the_seed() -> None:
    frame = StreetClip(9, frames=30, size=SIZE, meetings=0).frame(5)
    view = StreetWorld(9).render(5 / 12.5, SIZE)
    np.testing.assert_array_equal(frame.image, view.image)
    large = [segment.id for segment in view.segments if not segment.iscrowd]
    np.testing.assert_array_equal(
        frame.truth.segment_ids, np.where(np.isin(view.segment_ids, large), view.segment_ids, 0)
    )


def test_truth_has_a_track_for_each_segment_and_one_for_each_stuff_class() -> None:
    stuff: dict[int, set[int]] = {}
    for frame in StreetClip(5, frames=5, size=SIZE, fps=1.0):
        ids, areas = np.unique(frame.truth.segment_ids, return_counts=True)
        known = {item.id: item.area for item in frame.truth.segments}
        assert {key: area for key, area in zip(ids.tolist(), areas.tolist(), strict=True) if key} == known
        for item in frame.truth.segments:
            assert item.track_id == item.id
            assert item.area >= 16 or not item.isthing
            if not item.isthing:
                stuff.setdefault(item.class_id, set()).add(item.id)
    assert all(len(ids) == 1 for ids in stuff.values())


def test_files_hold_the_clips_in_both_layouts(tmp_path: Path) -> None:
    arguments = ["--clip", "--clips", "2", "--frames", "6", "--size", "64x96", "--seed", "3", "--fps", "2"]
    done = CliRunner().invoke(main, [str(tmp_path / "set"), *arguments])
    assert done.output == f"{tmp_path / 'set'}: 2 clips of 6 frames, 96 pixels wide and 64 high\n"
    panoptic = json.loads((tmp_path / "set/panoptic.json").read_text())
    objects = json.loads((tmp_path / "set/objects.json").read_text())
    for number, video in enumerate(panoptic["videos"]):
        clip = StreetClip(3 + number, frames=6, size=(64, 96), fps=2.0)
        assert video["video_id"] == clip.name == panoptic["annotations"][number]["video_id"]
        assert objects["videos"][number]["length"] == len(video["images"]) == 6
        masks = {
            entry["track_id"]: entry["segmentations"]
            for entry in objects["annotations"]
            if entry["video_id"] == number + 1
        }
        seen: set[int] = set()
        for frame, annotation in zip(clip, panoptic["annotations"][number]["annotations"], strict=True):
            name = objects["videos"][number]["file_names"][frame.index]
            np.testing.assert_array_equal(cv2.imread(str(tmp_path / "set/images" / name)), frame.image)
            ids = read_panoptic_png(tmp_path / "set/panoptic" / clip.name / annotation["file_name"])
            np.testing.assert_array_equal(ids, frame.truth.segment_ids)
            things = {info["id"] for info in annotation["segments_info"] if info["category_id"] > 5}
            assert things == {track for track, each in masks.items() if each[frame.index] is not None}
            for track in things:
                code = masks[track][frame.index]
                mask = rle.decode({"size": code["size"], "counts": code["counts"].encode()})
                np.testing.assert_array_equal(mask, ids == track)
            seen |= things
        assert seen == set(masks)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["out.mp4", "--clip"], "--clip writes a folder"),
        (["out", "--clip", "--moving"], "--clip and --moving exclude each other"),
        (["out", "--clips", "2"], "--clips is for clips; add --clip"),
        (["out", "--meetings", "2"], "--meetings is for clips; add --clip"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert message in done.output
