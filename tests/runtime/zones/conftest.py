"""Results of both techniques that tell things apart."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from tracked_things import instances, panoptic


@pytest.fixture(params=[panoptic, instances], ids=["panoptic", "instance"])
def make(request):
    """What makes a result of a size and its things."""
    return request.param
