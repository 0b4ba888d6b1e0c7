"""The ways in which results are drawn."""

from typing import Literal, get_args

Style = Literal["segrt", "detectron2", "none"]
STYLES: tuple[str, ...] = get_args(Style)
