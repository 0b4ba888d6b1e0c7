"""What all results can do: be drawn, saved, shown, printed in one line, and looked at in a notebook."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture, encode_image, quiet_cv2, write_image
from segrt.runtime.registry import Registry
from segrt.runtime.results.on_screen import show_picture

DRAWERS: Registry[Callable[..., Picture]] = Registry("drawer")
"""What draws: `overlay`, called as `draw.overlay` is. Rooms above that draw enter themselves here."""

_Result = TypeVar("_Result")
_NOTEBOOK_SIDE = 960
_NOTEBOOK_ROWS = 50


class Viewable:
    """The part of a result that is about looking at it.

    `image` is the picture that the result was made of, not a copy of it; None where nobody has said which.
    """

    image: npt.NDArray[Any] | None

    if TYPE_CHECKING:  # one result has its size as a field, which a property here would be the default of

        @property
        def size(self) -> tuple[int, int]:
            """The picture's (height, width)."""

        def to_rows(self) -> list[dict[str, Any]]:
            """Return what was found as plain dicts."""

        def found(self) -> str:
            """Return what was found in one line."""

    def plot(
        self,
        image: npt.NDArray[Any] | None = None,
        *,
        style: str = "segrt",
        alpha: float | None = None,
        scores: bool = True,
        captions: bool = True,
        text_scale: float = 1.0,
        area_threshold: int = 0,
        stuff: bool = True,
        out: Picture | None = None,
    ) -> Picture:
        """Return the result painted over its picture, uint8 BGR (H, W, 3); the picture is left as it is but for `out`.

        `image` is painted on, of the result's size, where it is not the picture that was segmented; the rest is as
        `segrt.runtime.draw.overlay` has it: with `out` the picture is painted there, with `out=image` in place. Raises
        SegrtError where there is no picture.
        """
        image = self.image if image is None else image
        if image is None:
            raise SegrtError("plot: this result does not know its picture; give it, plot(image), uint8 BGR (H, W, 3)")
        if "overlay" not in DRAWERS:
            raise SegrtError("plot: what draws is not loaded; `from segrt.runtime import open_bundle` loads it")
        draw = DRAWERS.load("overlay")
        return draw(
            image,
            self,
            style=style,
            alpha=alpha,
            scores=scores,
            captions=captions,
            text_scale=text_scale,
            area_threshold=area_threshold,
            stuff=stuff,
            out=out,
        )

    def save(self, path: str | Path, image: npt.NDArray[Any] | None = None, **options: Any) -> Path:
        """Write `plot(image, **options)` as a picture, in the format of the suffix, whole or not at all; return where.

        Raises ImageError for a suffix of no picture and a folder that cannot be written to.
        """
        write_image(path, self.plot(image, **options))
        return Path(path)

    def show(self, image: npt.NDArray[Any] | None = None, **options: Any) -> None:
        """Show `plot(image, **options)`: in the notebook, in a window, or by the desktop's viewer of pictures.

        Raises SegrtError where there is no display.
        """
        show_picture(self.plot(image, **options), self.found())

    def __repr__(self) -> str:
        height, width = self.size
        return f"<{type(self).__name__} width={width} height={height}: {self.found()}>"

    def _repr_png_(self) -> bytes | None:
        """Return the drawn picture for IPython, as a PNG; None where the result does not know its picture."""
        return None if self.image is None else encode_image(_reduced(self.plot()), ".png")

    def _repr_html_(self) -> str:
        """Return the drawn picture, where it is known, and a table of what was found, for notebooks."""
        import base64
        import html

        height, width = self.size
        parts = [f"<p><b>{type(self).__name__}</b>, width {width}, height {height}: {html.escape(self.found())}</p>"]
        if self.image is not None:
            data = base64.b64encode(encode_image(_reduced(self.plot()), ".jpg")).decode("ascii")
            parts.append(f'<img alt="{html.escape(self.found(), quote=True)}" src="data:image/jpeg;base64,{data}">')
        return "".join(parts) + _table(self.to_rows())


def with_picture(result: _Result, image: npt.NDArray[Any]) -> _Result:
    """Tell `result`, which nobody else has seen yet, the picture that it was made of, unless it is read by windows."""
    if isinstance(image, np.ndarray):
        object.__setattr__(result, "image", image)
    return result


def _reduced(picture: Picture) -> Picture:
    """Return the picture at a size that suits a notebook."""
    factor = _NOTEBOOK_SIDE / max(picture.shape[:2])
    if factor >= 1:
        return picture
    cv2 = quiet_cv2()
    size = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    import html

    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    lines = [
        "<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row.values()) + "</tr>"
        for row in rows[:_NOTEBOOK_ROWS]
    ]
    more = f"<p>and {len(rows) - _NOTEBOOK_ROWS} more</p>" if len(rows) > _NOTEBOOK_ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>{more}"
