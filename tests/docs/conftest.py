"""Lets the tests of the pages import what reads them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
