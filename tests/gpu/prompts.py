"""Prompts on the GPU against the CPU's masks, of a bundle that takes some: boxes, points, one picture for many."""

import time
from typing import Any

import numpy as np
import trials
from places import on_cpu, on_gpu
from sameness import all_the_same
from soft import Row, tried, within

from segrt.runtime.bundle.bundle import Bundle

_SECONDS = 20
MANY = 16


def compare_all(bundles: list[Bundle], failures: list[str], left_out: list[str], clock: Any) -> list[Row]:
    """Return a row for each bundle that takes prompts."""
    rows = []
    for bundle in (bundle for bundle in bundles if bundle.manifest.takes_prompts):
        what = f"{bundle.manifest.name}, prompts"
        if within(clock, _SECONDS, what, left_out):
            rows.append(tried(what, failures, lambda bundle=bundle: compare(bundle)))
    return rows


def asked(size: tuple[int, int]) -> list[dict[str, Any]]:
    """Return the prompts for a picture of `size`: boxes, points, points that are background, both."""
    height, width = size
    corners = [(0.1, 0.1, 0.4, 0.5), (0.5, 0.4, 0.9, 0.9)]
    boxes = [(x0 * width, y0 * height, x1 * width, y1 * height) for x0, y0, x1, y1 in corners]
    middles = [((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in boxes]
    return [
        {"boxes": boxes},
        {"points": middles},
        {"points": [middles], "point_labels": [[1, 0]]},
        {"boxes": boxes[:1], "points": middles[:1]},
    ]


def compare(bundle: Bundle) -> tuple[Row, bool]:
    """Ask both the same; then one picture on the GPU for many, which the encoder must see but once."""
    picture = trials.source_picture(0)
    prompts = asked(picture.shape[:2])
    with on_cpu(bundle) as cpu:
        want = [cpu(picture, **prompt) for prompt in prompts]
    with on_gpu(bundle) as gpu:
        got = [gpu(picture, **prompt) for prompt in prompts]
        seen = gpu.embedded(picture)
        kept = [seen.prompt(**prompt) for prompt in prompts]
        begin = time.perf_counter()
        seen = gpu.embedded(picture)
        encoder_ms = (time.perf_counter() - begin) * 1e3
        boxes = np.tile(np.asarray(prompts[0]["boxes"])[:1], (MANY, 1))
        begin = time.perf_counter()
        seen.prompt(boxes=boxes)
        a_prompt_ms = (time.perf_counter() - begin) * 1e3 / MANY
    told, right = all_the_same([*zip(got, want, strict=True), *zip(kept, got, strict=True)], "instance")
    scores = max(
        float(np.abs(ours.scores - theirs.scores).max(initial=0)) for ours, theirs in zip(got, want, strict=True)
    )
    nothing = all(not ours.masks.any() for ours in want)
    row: Row = {
        "same": told + (", but all masks are empty" if nothing else ""),
        "objects": ", ".join(str(len(one.scores)) for one in want),
        "GPU ms": f"encoder {encoder_ms:.1f}, a prompt {a_prompt_ms:.2f}",
        "scores differ by": f"{scores:.1e}",
    }
    return row, right and scores < 1e-2
