"""Puts the made clips and the slow figures of clips beside the tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
