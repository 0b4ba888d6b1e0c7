"""--style, --background and --blur: what pictures of results look like."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from segrt.runtime.cli.kept_classes import class_ids
from segrt.runtime.cli.options import grouped
from segrt.runtime.draw.style import STYLES, Style

if TYPE_CHECKING:
    from segrt.runtime.draw.picture_edits import PictureEdits
    from segrt.runtime.results import Label
    from segrt.runtime.stream.step import Draw

STYLE = click.option(
    "--style",
    type=click.Choice(STYLES),
    help="How results are drawn: as segrt does, as Detectron2 does, or not at all; segrt by default, but none where "
    "pictures are edited.",
)


@dataclass(frozen=True)
class DrawingOptions:
    """What the command says of its pictures."""

    style: Style | None = None
    background: str | None = None
    blur: tuple[str, ...] = ()

    @property
    def edits_pictures(self) -> bool:
        """Whether pictures are edited."""
        return self.background is not None or bool(self.blur)

    @property
    def chosen_style(self) -> Style:
        """The style that is asked for, or the default."""
        return self.style or ("none" if self.edits_pictures else "segrt")


_OPTIONS = (
    STYLE,
    click.option(
        "--background",
        metavar="WHAT",
        help="Replace all but the things, or but --classes: blur, grey, a colour (white, #00ff88), a picture's file.",
    ),
    click.option(
        "--blur",
        multiple=True,
        metavar="NAME,…",
        help="Make these classes unrecognisable, in every picture that leaves; comma-separated or repeated.",
    ),
)


def drawing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets `drawing`, a `DrawingOptions`."""
    return grouped("drawing", DrawingOptions, *_OPTIONS)(command)


def draw_in(options: DrawingOptions) -> "Draw | None":
    """Return what draws the results of a stream in the style that is asked for, None for the usual overlay."""
    from segrt.runtime.draw import overlay

    return None if options.chosen_style == "segrt" else partial(overlay, style=options.chosen_style)


def edits_of(
    options: DrawingOptions, labels: "Sequence[Label]", kept: frozenset[int] | None, bundle: str
) -> "PictureEdits | None":
    """Return what is done to pictures, None where nothing is; `kept` are the positions of --classes.

    Raises SegrtError for classes that there are not or that --classes leaves out, and where there is no subject.
    """
    from segrt.runtime.draw.background_words import background_of
    from segrt.runtime.draw.picture_edits import PictureEdits
    from segrt.runtime.errors import SegrtError

    if not options.edits_pictures:
        return None
    hidden = class_ids(options.blur, labels, bundle, option="--blur") or frozenset()
    lost = sorted(hidden - kept) if kept is not None else []
    if lost:
        raise SegrtError(
            f"--blur {labels[lost[0]].name}: --classes counts this class as not found; name it there, too, or leave "
            "--classes out"
        )
    subject = kept
    if subject is None:
        subject = frozenset(index for index, label in enumerate(labels) if label.isthing)
    if options.background is not None and not subject:
        raise SegrtError(
            f"--background {options.background}: the classes of {bundle} are stuff alone, so that nothing would be "
            "left; name the subject with --classes"
        )
    background = None if options.background is None else background_of(options.background)
    return PictureEdits(hidden, background, subject)
