"""What saves one kind of output of `segrt run`, and what it is given of each picture."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from segrt.runtime.bundle.manifest import Manifest
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.draw.style import Style
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Result


@dataclass(frozen=True)
class Origin:
    """What results come from: the bundle's manifest, and its decode rule with the thresholds in force.

    `style` is that of `segrt.runtime.draw.overlay`, in which they are drawn.
    """

    manifest: Manifest
    decode: DecodeRule
    style: Style = "segrt"


@dataclass(frozen=True)
class Segmented:
    """A picture with everything that can be saved of it; `heads` (name → array) only where a saver wants them."""

    path: Path
    name: str
    image_id: int | str
    image: Picture
    result: Result
    heads: dict[str, npt.NDArray[Any]]
    geometry: Geometry | None


class Saver(ABC):
    """Saves one kind of output into the folder `out`.

    `wants_picture` says that it looks at the picture, which therefore must be held as a whole, or makes one as large.
    """

    wants_heads = False
    wants_picture = True

    def __init__(self, out: Path, origin: Origin) -> None:
        self.out = out
        self.origin = origin

    @staticmethod
    def why_not(origin: Origin) -> str | None:  # noqa: ARG004 (for those that can't save everything)
        """Return why this cannot be saved of results from `origin`, or None if it can."""
        return None

    @abstractmethod
    def add(self, item: Segmented) -> Path | None:
        """Save one picture's output; return its file, None where one file is written for all when the work ends."""

    def finish(self) -> None:  # noqa: B027 (most have nothing to finish)
        """Write what covers all pictures."""
