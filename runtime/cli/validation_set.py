"""A validation set as commands take it that choose by its metric: its files, and which classes count."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from segrt.runtime.cli.options import COMMON_CLASSES, IGNORE_LABEL, MAP_CLASSES, MAP_VALUES, grouped

if TYPE_CHECKING:
    from segrt.runtime.evaluate.datasets.dataset import Dataset
    from segrt.runtime.evaluate.measuring import Options
    from segrt.runtime.results import Label

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class ValidationSet:
    """The data set's files, as `segrt eval` takes them; no `annotations` where they may be left out, and are."""

    annotations: str | None
    images: Path | None
    panoptic_dir: Path | None
    ignore_label: tuple[int, ...]
    map_values: tuple[tuple[int, int], ...]
    common_classes: bool
    renamed: tuple[tuple[str, str], ...]

    @property
    def judging(self) -> "Options":
        """Which classes count."""
        from segrt.runtime.evaluate.measuring import Options

        return Options(common_classes=self.common_classes, renamed=self.renamed)

    def refuse_parts(self) -> None:
        """Raise SegrtError for options that belong to annotations that are not there."""
        from segrt.runtime.errors import SegrtError

        others = (self.ignore_label, self.map_values, self.common_classes, self.renamed)
        if self.annotations is None and any((self.images, self.panoptic_dir, *others)):
            raise SegrtError(
                "--images, --panoptic-dir, --ignore-label, --map-values, --common-classes and --map belong to "
                "--annotations DATA; give it, too"
            )

    def opened(self, labels: "Sequence[Label]") -> "Dataset | None":
        """Return the data set, whose pictures of labels have the classes `labels`; None without annotations.

        Raises SegrtError for files that are none, and for options that belong to annotations that are not there.
        """
        from segrt.runtime.evaluate.datasets.opening import open_dataset

        self.refuse_parts()
        if self.annotations is None:
            return None
        return open_dataset(
            self.annotations,
            self.images,
            self.panoptic_dir,
            labels=labels,
            ignored=self.ignore_label,
            mapped=self.map_values,
        )


def validation_options(*, required: bool) -> Callable[[_Command], _Command]:
    """Return a decorator that adds the options of a validation set; the command gets `data`, a `ValidationSet`."""
    return grouped(
        "data",
        ValidationSet,
        click.option(
            "--annotations", required=required, metavar="JSON", help="A validation set, as `segrt eval` takes it."
        ),
        click.option("--images", type=click.Path(path_type=Path), metavar="DIR", help="The pictures."),
        click.option("--panoptic-dir", type=click.Path(path_type=Path), metavar="DIR", help="The panoptic PNG files."),
        IGNORE_LABEL,
        MAP_VALUES,
        COMMON_CLASSES,
        MAP_CLASSES,
    )
