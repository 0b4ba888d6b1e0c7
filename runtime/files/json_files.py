"""Decodes JSON: every way in which a text can fail to be what was asked for is one `JsonError`. Encodes it."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from segrt.runtime.errors import one_line

Hook = Callable[[type, Any], Any]
_Content = TypeVar("_Content")
_FAILURES = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError, MemoryError)


class JsonError(ValueError):
    """The text is no JSON, or not of the form that was asked for (`is_json`: then it is JSON); one line says why."""

    def __init__(self, message: str, *, is_json: bool) -> None:
        super().__init__(message)
        self.is_json = is_json


def decode_json(data: bytes | str, kind: type[_Content] | Any = Any, hook: Hook | None = None) -> _Content:
    """Return the JSON in `data` as `kind`; raise JsonError when it is none, or not of this form.

    Deep nesting, numbers of thousands of digits and invalid UTF-8 are no JSON either. `hook` is msgspec's `dec_hook`.
    """
    try:
        content: _Content = msgspec.json.decode(data, type=kind, dec_hook=hook)
    except _FAILURES as error:
        raise _reason(error) from None
    return content


def decode_loose_json(text: str) -> Any:
    """Return what `text` holds, JSON of libraries that also write NaN and infinities; raise JsonError for none."""
    try:
        return json.loads(text)
    except _FAILURES as error:
        raise _reason(error) from None


def convert_json(value: Any, kind: type[_Content] | Any, hook: Hook | None = None) -> _Content:
    """Return decoded JSON as `kind`; raise JsonError when it is not of this form."""
    try:
        content: _Content = msgspec.convert(value, kind, dec_hook=hook)
    except _FAILURES as error:
        raise _reason(error) from None
    return content


def encode_json(value: Any) -> bytes:
    """Return `value` as JSON; what the names of files have that is no UTF-8 becomes readable (see `readable`)."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_readable_texts(msgspec.to_builtins(value)))


def readable(name: str) -> str:
    """Return a file's name or path as text that can be encoded: each byte that is no UTF-8 is an escape."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _readable_texts(value: Any) -> Any:
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, dict):
        return {_readable_texts(key): _readable_texts(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_readable_texts(entry) for entry in value]
    return value


def _reason(error: BaseException) -> JsonError:
    if isinstance(error, RecursionError):
        return JsonError("it is nested too deeply", is_json=False)
    if isinstance(error, UnicodeDecodeError):
        return JsonError("it is no UTF-8 text", is_json=False)
    return JsonError(one_line(error), is_json=isinstance(error, msgspec.ValidationError))
