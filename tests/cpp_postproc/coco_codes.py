"""Run lengths as pycocotools makes them, the format's own code."""

from typing import Any

import numpy as np
import pytest


def pycocotools_codes(masks: Any) -> list[dict[str, Any]]:
    """Those of boolean masks (n, H, W); skips the test where pycocotools is missing."""
    coco = pytest.importorskip("pycocotools.mask")
    return [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]
