"""Lets the tests of this folder import `simulated_gpu`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
