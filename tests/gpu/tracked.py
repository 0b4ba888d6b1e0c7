"""Things followed through a street clip on the GPU, against the CPU's ids of the same frames."""

import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from places import on_cpu, on_gpu
from sameness import EQUAL, all_the_same
from soft import Row, tried, within

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.streetworld.clips import StreetClip
from segrt.runtime.tracking import Tracker

BUNDLES = ("street-panoptic", "street-instance")
FRAMES, SIZE = 60, (720, 1280)
_SECONDS = 25


def compare_all(failures: list[str], left_out: list[str], clock: Any) -> list[Row]:
    """Return a row for each embedded bundle with things."""
    rows: list[Row] = []
    if not within(clock, _SECONDS, "things followed", left_out):
        return rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for frame in StreetClip(5, FRAMES, SIZE):
            cv2.imwrite(str(folder / f"{frame.index:04d}.jpg"), frame.image)
        for bundle in map(read_bundle, BUNDLES):
            what = f"{bundle.manifest.name}, things followed"
            if within(clock, _SECONDS / 2, what, left_out):
                rows.append(tried(what, failures, lambda bundle=bundle: compare(bundle, folder)))
    return rows


def compare(bundle: Bundle, folder: Path) -> tuple[Row, bool]:
    """Follow things by `stream` on both; then by hand, for the time that following takes."""
    with on_cpu(bundle) as cpu:
        want = [result for _, result in cpu.stream(folder, policy="all", track=True)]
    with on_gpu(bundle) as gpu:
        begin = time.perf_counter()
        got = [result for _, result in gpu.stream(folder, policy="all", track=True)]
        a_frame_ms = (time.perf_counter() - begin) * 1e3 / max(1, len(got))
        plain = [result for _, result in gpu.stream(folder, policy="all")]
        device = gpu.placement.device
    tracker, ms = Tracker(), []
    for result in plain:
        begin = time.perf_counter()
        tracker.update(result)
        ms.append((time.perf_counter() - begin) * 1e3)
    told, right = all_the_same(list(zip(got, want, strict=True)), bundle.manifest.technique)
    ours, theirs = [ids_of(result) for result in got], [ids_of(result) for result in want]
    same_ids = sum(one == other for one, other in zip(ours, theirs, strict=True))
    followed = len({number for ids in ours for number in ids})
    row: Row = {
        "same": f"{told}; ids of {same_ids} of {len(want)} frames are the same",
        "objects": f"{followed} ids in {len(got)} frames",
        "GPU ms": f"a frame {a_frame_ms:.2f}, following {np.median(ms):.2f}",
        "decoded on": device,
    }
    # Where results are the same to the bit, so must be the ids; else a lost pixel may begin a track a frame later.
    enough = same_ids == len(want) if told == EQUAL else same_ids >= 0.9 * len(want)
    return row, right and enough and followed > 0


def ids_of(result: Any) -> list[int]:
    """Return the ids of a frame's things, in the order of the result."""
    if hasattr(result, "segments"):
        return [int(segment.track_id or 0) for segment in result.segments if segment.isthing]
    return [int(number) for number in (result.track_ids if result.track_ids is not None else [])]
