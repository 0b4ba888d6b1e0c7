"""docs/zoo.md is what `segrt models --json` says."""

import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_made_from_the_command() -> None:
    command = [sys.executable, "docs/zoo.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_another_page_is_told() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "zoo.py"))["page"]
    entry = {
        "name": "net",
        "technique": "semantic",
        "family": "some_family",
        "size": [64, 96],
        "parameters": 1_500_000,
        "gmacs": 2.25,
        "code_licence": "MIT",
        "weights": {"licence": "CC-BY-NC-4.0", "forbids_commercial_use": True, "covers": "network"},
        "published": {"metric": "mIoU", "value": 0.451, "dataset": "VOC val", "source": "https://example.org"},
        "verified": {
            "weights": "random",
            "size": [32, 32],
            "whole": False,
            "agreement": 1.0,
            "runtimes": {"onnxruntime": "1.0", "tensorrt-rtx": "2.0"},
            "versions": {"torch": "3.0"},
        },
    }
    other = {**entry, "name": "net-large", "weights": None, "published": None, "verified": None}
    text = page([entry, other])
    row = "| `net` | 64×96 | 1.5 | 2.2 | ⊘ CC-BY-NC-4.0 | mIoU 45.1, VOC val [1](#sources) |"
    assert f"{row} random, 32×32, fewer layers: 100.00%, engine |" in text
    assert "| `net-large` | 64×96 | 1.5 | 2.2 | none published |  | as `net` |" in text
    assert "1. https://example.org" in text
    assert "- tensorrt-rtx 2.0" in text
