"""Whole results on the GPU against the CPU's, of the same bundles: single pictures, batches, tiles of a 4K picture."""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import trials
from places import on_cpu, on_gpu
from sameness import all_the_same
from soft import Row, tried, within

from segrt.runtime.authoring.matched_share import count_objects
from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.streetworld.moments import scattered

PICTURES = 2
BATCHES = (2, 4)
LARGE = (2160, 3840)
TILE = "768x1280,20%"
_SINGLE_SECONDS, _BATCH_SECONDS, _TILE_SECONDS = 15, 12, 25


def compare_all(bundles: list[Bundle], failures: list[str], left_out: list[str], clock: Any) -> list[Row]:
    """Return a row for each trial of each bundle, all single pictures first; prompted ones are for `prompts`."""
    rows = []
    bundles = [bundle for bundle in bundles if not bundle.manifest.takes_prompts]
    for bundle in bundles:
        what = f"{bundle.manifest.name}, {PICTURES} pictures"
        if within(clock, _SINGLE_SECONDS, what, left_out):
            rows.append(tried(what, failures, lambda bundle=bundle: single(bundle)))
    for bundle in (bundle for bundle in bundles if takes_batches(bundle)):
        what = f"{bundle.manifest.name}, batches"
        if within(clock, _BATCH_SECONDS, what, left_out):
            rows.append(tried(what, failures, lambda bundle=bundle: batches(bundle)))
    for bundle in {bundle.manifest.technique: bundle for bundle in bundles}.values():  # one is enough of each
        what = f"{bundle.manifest.name}, tiles of {LARGE[0]}x{LARGE[1]}"
        if within(clock, _TILE_SECONDS, what, left_out):
            rows.append(tried(what, failures, lambda bundle=bundle: tiles(bundle)))
    return rows


def takes_batches(bundle: Bundle) -> bool:
    """Whether the network takes any number of pictures."""
    return all(spec.shape[0] == "N" for spec in bundle.manifest.inputs)


def single(bundle: Bundle) -> tuple[Row, bool]:
    """Segment pictures one by one on both."""
    pictures = [trials.source_picture(number) for number in range(PICTURES)]
    with on_cpu(bundle) as cpu:
        want = [cpu(picture) for picture in pictures]
    with on_gpu(bundle) as gpu:
        got, ms = _timed(gpu, pictures)
        row: Row = {"decoded on": gpu.placement.device}
    return _row(row, got, want, bundle, ms)


def batches(bundle: Bundle) -> tuple[Row, bool]:
    """Segment pictures in batches on the GPU, against one by one there."""
    pictures = [trials.source_picture(number) for number in range(max(BATCHES))]
    with on_gpu(bundle) as gpu:
        want = [gpu(picture) for picture in pictures]
    got, wanted, ms = [], [], 0.0
    for batch in BATCHES:
        with on_gpu(bundle, batch=batch) as gpu:
            gpu(pictures)
            begin = time.perf_counter()
            got += gpu(pictures)
            ms = (time.perf_counter() - begin) * 1e3 / len(pictures)
        wanted += want
    return _row({"batches": ", ".join(map(str, BATCHES))}, got, wanted, bundle, ms)


def tiles(bundle: Bundle) -> tuple[Row, bool]:
    """Segment a 4K picture tile by tile on both."""
    picture = large_picture()
    with on_cpu(bundle, tile=TILE) as cpu:
        begin = time.perf_counter()
        want = [cpu(picture)]
        cpu_ms = (time.perf_counter() - begin) * 1e3
    with on_gpu(bundle, tile=TILE) as gpu:
        got, ms = _timed(gpu, [picture])
        row: Row = {"decoded on": gpu.placement.device, "CPU ms": round(cpu_ms, 1)}
    return _row(row, got, want, bundle, ms)


def large_picture() -> npt.NDArray[np.uint8]:
    """Return a rendered street, uint8 BGR."""
    return next(iter(scattered(11, 1, LARGE))).image


def _timed(segmenter: Any, pictures: list[Any]) -> tuple[list[Any], float]:
    """Return results, and the milliseconds of the last picture, at which all is warm."""
    got = [segmenter(picture) for picture in pictures]
    begin = time.perf_counter()
    segmenter(pictures[-1])
    return got, (time.perf_counter() - begin) * 1e3


def _row(row: Row, got: list[Any], want: list[Any], bundle: Bundle, ms: float) -> tuple[Row, bool]:
    told, right = all_the_same(list(zip(got, want, strict=True)), bundle.manifest.technique)
    objects = ", ".join(str(count_objects(result)) for result in want)
    return {"same": told, "objects": objects, "GPU ms": round(ms, 2)} | row, right
