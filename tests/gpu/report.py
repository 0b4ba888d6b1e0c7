"""Writes what was found as a page."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHECKS = ("bundle", "precision", "runs in", "golden frames", "two pictures", "largest head error",
          "GPU and CPU decode", "note")  # fmt: skip
TIMES = ("bundle", "precision", "runs in", "upload", "preprocess", "network", "decode", "download", "end to end",
         "p99 end to end", "note")  # fmt: skip
ABOUT_TIMES = (
    "Medians on 1080p pictures, one frame at a time. Stages of segrt are by the GPU's own clock (CUDA events; `upload` "
    "has the host's copy into page-locked memory in it), `end to end` is wall time from the BGR picture on the host to "
    "the result there. For the others all stages are wall time between synchronisations."
)
ABOUT_RULES = (
    "Milliseconds: `GPU` by its own clock, kernels alone; `result on the host` and `CPU` (default threads) are "
    "wall time."
)
TRIALS = ("trial", "same", "objects", "GPU ms", "decoded on", "CPU ms", "scores differ by", "batches", "took s")
ABOUT_TRIALS = (
    "The same bundle on the GPU and on the CPU, from the picture to the result: equal to the bit, or their agreement "
    "(`segrt.runtime.authoring.agreement`; at least 99.9 %, of instances 99 %). Times are wall time of the last "
    "picture, some of them while other networks were exported."
)
RULES = ("rule", "picture", "equal", "GPU", "result on the host", "CPU")


def write_report(found: dict[str, Any], path: Path) -> None:
    """Write the device, what is wrong, the tables, CUDA's own figures."""
    device = found["device"]
    lines = [
        f"# On {device['name']} (SM {device['sm']})",
        "",
        f"Driver for CUDA {device['cuda_driver']}, {device['memory_mb']} MB; TensorRT: {found['tensorrt']}.",
        f"Checks took {found['checking_s']} s, all {found['all_s']} s.",
        "",
        "## Wrong",
        "",
        *([f"- {line}" for line in found["failures"]] or ["nothing"]),
        "",
        "## Left out",
        "",
        *([f"- {line}" for line in found["left out"]] or ["nothing"]),
        "",
        *exported(found.get("exports", {})),
        "## Networks: what was checked",
        "",
        *_table(CHECKS, found["checks"]),
        "",
        "## Whole results: pictures, batches, tiles, prompts, tracks, commands",
        "",
        ABOUT_TRIALS,
        "",
        *_table(TRIALS, found["trials"]),
        "",
        "## Milliseconds",
        "",
        ABOUT_TIMES,
        "",
        *_table(TIMES, found["times"]),
        "",
        "## Kernels against the C++ core",
        "",
        ABOUT_RULES,
        "",
        *_table(RULES, found["rules"]),
        "",
        "## CUDA through segrt's interface",
        "",
        "```json",
        json.dumps(found["cuda"], indent=1),
        "```",
        "",
    ]
    path.write_text("\n".join(lines))


def exported(seconds: dict[str, float | None]) -> list[str]:
    """Return what exporting took, all at once."""
    told = [f"{name} {took} s" for name, took in seconds.items() if took is not None]
    return (
        ["Exports, several at once, with those precisions that they have: " + ", ".join(told) + ".", ""] if told else []
    )


def _table(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> list[str]:
    return [
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(str(row.get(column, "")) for column in columns) + " |" for row in rows),
    ]
