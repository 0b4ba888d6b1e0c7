"""What a background is called: "blur", "grey", a colour by name or as #RRGGBB, or a picture's file."""

import re
from contextlib import suppress
from pathlib import Path

from segrt.runtime.draw.picture_edits import Backdrop, Background, Blurred, Greyed, Plain
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import read_image
from segrt.runtime.results.labels.palette import Color

_COLORS: dict[str, Color] = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "cyan": (0, 255, 255),
    "magenta": (255, 0, 255),
}
_HEX = re.compile(r"#?([0-9a-fA-F]{6})")


def background_of(word: str) -> Background:
    """Return the background that `word` names; raise SegrtError for what names none, ImageError for a bad picture."""
    plain = word.strip().lower()
    if plain == "blur":
        return Blurred()
    if plain in ("grey", "gray"):
        return Greyed()
    if plain in _COLORS:
        return Plain(_COLORS[plain])
    with suppress(OSError, ValueError):  # a word that no file could be called
        if Path(word).is_file():
            return Backdrop(read_image(Path(word)))
    number = _HEX.fullmatch(plain)
    if number is not None:
        red, green, blue = bytes.fromhex(number[1])
        return Plain((red, green, blue))
    raise SegrtError(
        f"--background {word}: must be blur, grey, a colour ({', '.join(_COLORS)} or #RRGGBB) or a picture's file, "
        "and there is no such file"
    )
