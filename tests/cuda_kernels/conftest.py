"""Makes the emulated GPU importable, and gives each example the time that an emulator under sanitizers needs."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).resolve().parent))

settings.register_profile("emulated", deadline=None, max_examples=40)
settings.load_profile("emulated")
