"""Writes what was found as a page."""

import json
from pathlib import Path
from typing import Any

COLUMNS = ("bundle", "precision", "runs in", "golden frames", "two pictures", "largest head error", "preprocess",
           "upload", "inference", "download", "postprocess", "end to end", "p99 end to end", "note")  # fmt: skip


def write_report(found: dict[str, Any], path: Path) -> None:
    """Write the device, CUDA's own figures, the table of milliseconds, and what is wrong."""
    device = found["device"]
    lines = [
        f"# On {device['name']} (SM {device['sm']})",
        "",
        f"Driver for CUDA {device['cuda_driver']}, {device['memory_mb']} MB; TensorRT: {found['tensorrt']}.",
        "Medians in milliseconds on 1080p pictures, one frame at a time; `end to end` is from picture to result.",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(str(row.get(column, "")) for column in COLUMNS) + " |" for row in found["rows"]),
        "",
        "## CUDA through segrt's interface",
        "",
        "```json",
        json.dumps(found["cuda"], indent=1),
        "```",
        "",
        "## Wrong",
        "",
        *(found["failures"] or ["nothing"]),
        "",
    ]
    path.write_text("\n".join(lines))
