"""Lets the tests of packaging import the measures of the house."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
