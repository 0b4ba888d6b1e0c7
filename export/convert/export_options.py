"""What the user asks of `segrt export`, checked as far as it can be before anything is built."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from segrt.export.family import PadSide, Size, Weights
from segrt.export.precision import converters
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture

PRECISIONS = ("fp32", *converters.PRECISIONS)


@dataclass(frozen=True)
class Annotations:
    """A labelled data set to measure the network on, before and after the conversion; see `open_dataset`.

    `common_classes`: the classes that both sides have by name.
    """

    annotations: str
    images: Path | None = None
    panoptic_dir: Path | None = None
    common_classes: bool = False


@dataclass(frozen=True)
class ExportOptions:
    """What the user asks for; the fields are the options of `segrt export`.

    `size` None means the model's default; `both_orientations` makes it a square that holds pictures on their side and
    upright, each at the framework's scale; `pad_side` None means the framework's; `overrides` changes fields of the
    network's configuration; `parity` `quick` compares with the framework on one picture alone; `progress` wraps
    pictures, under a title, to show how far the work on them is.
    """

    weights: Weights
    size: Size | None = None
    labels: str | None = None
    precisions: tuple[str, ...] = ("fp32",)
    calibration: Path | None = None
    search_steps: int = 200
    top_queries: int | None = None
    dynamic_batch: bool = False
    both_orientations: bool = False
    pad_side: PadSide | None = None
    parity: Literal["full", "quick"] = "full"
    parity_images: Path | None = None
    measure_on: Annotations | None = None
    check_tensorrt: bool = False
    overwrite: bool = False
    threads: int = 0
    overrides: Mapping[str, Any] = field(default_factory=dict)
    progress: Callable[[list[Picture], str], Iterable[Picture]] = lambda pictures, text: pictures  # noqa: ARG005

    def check_precisions(self) -> None:
        """Raise SegrtError for precisions that there are none of, and for int8 without pictures."""
        for precision in self.precisions:
            if precision not in PRECISIONS:
                raise SegrtError(f"--precision {precision}: must be {', '.join(PRECISIONS)}, comma-separated")
        if len(set(self.precisions)) != len(self.precisions) or not self.precisions:
            raise SegrtError(f"--precision {','.join(self.precisions)}: name each precision once")
        needs_pictures = [name for name in self.precisions if name.startswith("int8")]
        if needs_pictures and self.calibration is None:
            raise SegrtError(f"--precision {needs_pictures[0]}: needs --calibration DIR, a folder of typical pictures")
