"""Dataclasses from JSON and back.

A key that no field is named by is ignored, and a field with a default may be missing or null, so that each side reads
what an older or newer one wrote. A field whose key is no name in Python has it as `metadata["key"]`; one whose
`metadata["added"]` is true is left out while it has its default, so that what lacked it is written again as it was.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from segrt.runtime.deploy.device.failure import Failure

Record = TypeVar("Record")
_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_LARGEST = 1 << 63


def load_json(text: bytes | str) -> Any:
    """Return the value of a JSON text, UTF-8 if it is bytes.

    Raises ValueError for any that is none, is nested too deeply or has NaN in it.
    """
    try:
        return json.loads(text if isinstance(text, str) else text.decode(), parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def from_json(kind: type[Record], content: object, what: str, remedy: str) -> Record:
    """Return the dataclass `kind` from a JSON value; `what` names the value in errors, and `remedy` ends them.

    Raises Failure, in one line, for a missing field without a default and for a value of another type.
    """
    try:
        return _record(kind, content)
    except _Mismatch as error:
        raise Failure(f"{what}: {error}; {remedy}") from None


def to_json(value: Any) -> Any:
    """Return a dataclass, or a value of one, as what `json.dumps` takes; keys stand in the order of the fields."""
    if is_dataclass(value) and not isinstance(value, type):
        values = {field: getattr(value, field.name) for field in fields(value)}
        return {_key(field): to_json(item) for field, item in values.items() if not _left_out(field, item)}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return value


class _Mismatch(Exception):  # noqa: N818 (becomes a Failure)
    """A value that is not of the type that a field has."""


def _key(field: "Field[Any]") -> str:
    return str(field.metadata.get("key", field.name))


def _left_out(field: "Field[Any]", value: object) -> bool:
    return bool(field.metadata.get("added")) and value == field.default


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _has_default(field: "Field[Any]") -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _record(kind: type[Record], content: object, where: str = "") -> Record:
    if not isinstance(content, dict):
        raise _Mismatch(f"{where or 'it'} must be an object, but is {_shown(content)}")
    hints = get_type_hints(kind)
    values = {}
    for field in fields(kind):  # type: ignore[arg-type]  # kind is a dataclass
        key = _key(field)
        path = f"{where}.{key}" if where else key
        if not field.init or (content.get(key) is None and _has_default(field)):
            continue
        if key not in content:
            raise _Mismatch(f"{path} is missing")
        values[field.name] = _value(hints[field.name], content[key], path)
    return kind(**values)


def _value(hint: Any, value: object, where: str) -> Any:
    origin = get_origin(hint)
    if origin is UnionType:
        if value is None:
            return None
        (hint,) = (choice for choice in get_args(hint) if choice is not NoneType)
        origin = get_origin(hint)
    if is_dataclass(hint):
        return _record(hint, value, where)  # type: ignore[arg-type]  # not an instance: it is a type hint
    if origin is tuple:
        if not isinstance(value, list):
            raise _Mismatch(f"{where} must be a list, but is {_shown(value)}")
        return tuple(_value(get_args(hint)[0], item, f"{where}[{number}]") for number, item in enumerate(value))
    if origin is not None:
        if not isinstance(value, dict):
            raise _Mismatch(f"{where} must be an object, but is {_shown(value)}")
        return {key: _value(get_args(hint)[1], item, f"{where}.{key}") for key, item in value.items()}
    allowed = (int, float) if hint is float else hint
    if not isinstance(value, allowed) or (isinstance(value, bool) and hint is not bool):
        raise _Mismatch(f"{where} must be {_NAMES[hint]}, but is {_shown(value)}")
    if isinstance(value, (int, float)) and not -_LARGEST <= value < _LARGEST:
        raise _Mismatch(f"{where} must be a number of at most 64 bits, but is {_shown(value)}")
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
