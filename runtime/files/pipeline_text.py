"""How GStreamer pipelines are shown: elements, and properties that are known to be harmless."""

import re
from collections.abc import Callable

from segrt.runtime.files.harmless import HARMLESS_PROPERTIES, MASK, is_plain, is_reference

Mask = Callable[[str], str]
_SPACE = re.compile(r"\s+")
_VALUE = r"""(?:"(?:\\.|[^"\\])*(?:"|$)|'(?:\\.|[^'\\])*(?:'|$))(?:\\.|\S)*|(?:\\.|\S)+"""
_PROPERTY = re.compile(rf"([^\s=\"'!]+)(\s*=\s*)({_VALUE})?", re.DOTALL)
_NAME = re.compile(r"[A-Za-z][\w:-]{0,63}")
_CAPS = re.compile(r"[a-z]+/[A-Za-z0-9.+*-]+(?:\([A-Za-z0-9:]+\))?(?=,|\s|$)")
_WORD = re.compile(r"(?:\\.|\S)+", re.DOTALL)
_ELEMENT = re.compile(r"[A-Za-z_][\w.%-]{0,63}|[().]+")
_ADDRESSES = ("location", "uri")


def show_pipeline(text: str, mask: Mask, show_address: Mask) -> str:
    """Return the pipeline with `mask` of every value that is not known to be harmless.

    `show_address` says how an address within it is shown.
    """
    shown: list[str] = []
    position, after_secret = 0, False
    while position < len(text):
        if found := _SPACE.match(text, position):
            said = found.group()
        elif not _CAPS.match(text, position) and (found := _PROPERTY.match(text, position)):
            name, equals, value = found.group(1), found.group(2), found.group(3) or ""
            said = (name if _NAME.fullmatch(name) else mask(name)) + equals
            said += _show_value(name.lower(), value, mask, show_address)
        else:
            found = _WORD.match(text, position)
            assert found is not None  # there is something, and it is no space
            said = found.group()
            if said == "!":
                after_secret = False
            else:
                said = _show_word(said, mask, show_address, after_secret=after_secret)
        after_secret = after_secret or MASK in said
        shown.append(said)
        position = found.end()
    return "".join(shown)


def _show_value(name: str, value: str, mask: Mask, show_address: Mask) -> str:
    quote = value[:1] if value[:1] in "\"'" and value[-1:] == value[:1] and len(value) > 1 else ""
    bare = value[1:-1] if quote else value
    if not value or is_reference(bare):
        return value
    if name in _ADDRESSES:
        return quote + show_address(bare) + quote
    if name not in HARMLESS_PROPERTIES:
        return mask(value)
    first, *fields = bare.split(",")
    if not is_plain(first):
        return mask(value)
    return quote + ",".join([first, *(_show_field(field, mask) for field in fields)]) + quote


def _show_word(word: str, mask: Mask, show_address: Mask, *, after_secret: bool) -> str:
    """Return a word that is no property: an element, caps, an address, or a piece of a value with a space in it."""
    if "://" in word:
        return show_address(word)
    if not after_secret and _ELEMENT.fullmatch(word):
        return word
    if not after_secret and _CAPS.match(word):
        kind, *fields = word.split(",")
        return ",".join([kind, *(_show_field(field, mask) for field in fields)])
    return mask(word)


def _show_field(field: str, mask: Mask) -> str:
    """Return a field of caps, "width=640"."""
    name, equals, value = field.partition("=")
    if not equals:
        return field if not field or _CAPS.match(field) else mask(field)
    harmless = name.strip().lower() in HARMLESS_PROPERTIES and is_plain(value)
    return field if harmless else f"{name if _NAME.fullmatch(name) else mask(name)}={mask(value)}"
