"""Lets the tests of this folder import `simulated_provider`, and that the simulated GPU of TensorRT's tests."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tensorrt")]
