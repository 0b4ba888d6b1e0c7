"""The three techniques."""

from typing import Literal

Technique = Literal["semantic", "instance", "panoptic"]
