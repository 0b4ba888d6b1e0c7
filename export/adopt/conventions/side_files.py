"""Files beside a network that speak of it, read so that no field of theirs goes unheeded."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from segrt.export.adopt.conventions.convention import Problem, Subject
from segrt.runtime.errors import SegrtError, one_line
from segrt.runtime.files.json_files import JsonError, decode_json
from segrt.runtime.files.reading import read_bytes

_MOST_BYTES = 1 << 24
_LONGEST_SIDE = 65535
_MOST_CLASSES = 65535
_SHOWN = 8  # parts of a value in a message
_FARTHEST = 1e6  # of means and deviations, which are bytes mostly


def is_side(value: Any) -> bool:
    """Whether a value is a number of pixels that a side of a picture can have."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _LONGEST_SIDE


def is_class_id(value: Any) -> bool:
    """Whether a value is a number that a class can have."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_CLASSES


def find(network: Path, name: str) -> Path | None:
    """Return the file `name` beside the network, or one folder up for a network in a folder "onnx", as on the hub."""
    places = [network.parent]
    if network.resolve().parent.name == "onnx":
        places.append(network.resolve().parent.parent)
    return next((place / name for place in places if (place / name).is_file()), None)


def read_json(path: Path) -> Mapping[str, Any]:
    """Return the object in a JSON file; raise SegrtError for a file that holds none."""
    try:
        content: Any = decode_json(_bytes(path))
    except JsonError as error:
        raise SegrtError(
            f"{path}: is no valid JSON ({error}), but stands beside the network; mend or remove it"
        ) from None
    if not isinstance(content, dict):
        raise SegrtError(f"{path}: must hold a JSON object, but has {type(content).__name__}; mend or remove it")
    return content


def read_yaml(path: Path) -> Mapping[str, Any]:
    """Return the mapping in a YAML file; raise SegrtError for a file that holds none."""
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError:
        raise SegrtError(f"{path}: reading it needs PyYAML; `pip install 'segrt[adopt]'`, or remove it") from None
    try:
        content = yaml.safe_load(_bytes(path))
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise SegrtError(
            f"{path}: is no valid YAML ({one_line(error, 100)}), but stands beside the network; mend or remove it"
        ) from None
    if not isinstance(content, dict):
        raise SegrtError(f"{path}: must hold a YAML mapping, but has {type(content).__name__}; mend or remove it")
    return content


def _bytes(path: Path) -> bytes:
    try:
        return read_bytes(path, _MOST_BYTES)
    except OSError as error:
        raise SegrtError(f"{path}: cannot be read ({error.strerror}); mend or remove it") from None


class Fields:
    """The fields of one mapping in a side file: each is taken, or becomes a problem by its name.

    `where` names the file, and the part of it, in problems; `defaults` are the values of fields that are not given, or
    given as null. A field that is neither taken nor known to say nothing about pictures is one that cannot be honoured.
    """

    def __init__(
        self, where: str, fields: Mapping[str, Any], defaults: Mapping[str, Any] | None = None, *, prefix: str = ""
    ) -> None:
        self.where, self.prefix = where, prefix
        self.problems: list[Problem] = []
        self._fields, self._defaults = fields, defaults or {}
        self._left = {str(name) for name, value in fields.items() if value is not None}

    def __contains__(self, name: str) -> bool:
        return self._value(name) is not None

    def refuse(self, subject: Subject, name: str, why: str) -> None:
        """Note that field `name` cannot be honoured, and why."""
        self._left.discard(name)
        self.problems.append(Problem(subject, f"{self.where}: {self.prefix}{name} {self._shown(name)} {why}"))

    def silent(self, names: Iterable[str]) -> None:
        """Declare fields that say nothing about how a picture is fed."""
        self._left.difference_update(names)

    def raw(self, name: str) -> Any:
        """Return a field as it stands, None where there is none."""
        self._left.discard(name)
        return self._value(name)

    def flag(self, name: str, subject: Subject = "everything") -> bool:
        """Return a field that must be true or false; false where there is none."""
        value = self.raw(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.refuse(subject, name, "is neither true nor false")
        return False

    def number(self, name: str, subject: Subject) -> float | None:
        """Return a field that must be a finite number, None where there is none."""
        value = self.raw(name)
        if value is None or _is_number(value):
            return None if value is None else float(value)
        self.refuse(subject, name, "is no number")
        return None

    def count(self, name: str, subject: Subject) -> int | None:
        """Return a field that must be a whole number of at least 1, None where there is none."""
        value = self.raw(name)
        if value is None or (_is_number(value) and float(value).is_integer() and is_side(int(value))):
            return None if value is None else int(value)
        self.refuse(subject, name, "is no whole number from 1 on")
        return None

    def channels(self, name: str, subject: Subject = "values") -> tuple[float, float, float] | None:
        """Return a field that is a number for all channels, or one for each; None where there is none."""
        value = self.raw(name)
        if value is None:
            return None
        values = [value] * 3 if _is_number(value) else value
        if isinstance(values, Sequence) and len(values) == 1:
            values = [values[0]] * 3
        if isinstance(values, Sequence) and len(values) == 3 and all(map(_is_near, values)):
            return float(values[0]), float(values[1]), float(values[2])
        self.refuse(subject, name, "is not a number, or three")
        return None

    def fields(self, name: str, subject: Subject = "everything") -> "Fields":
        """Return the fields of a mapping within this one; its problems are to be taken with `join`."""
        value = self.raw(name)
        if value is not None and not isinstance(value, Mapping):
            self.refuse(subject, name, "is no mapping")
            value = None
        return Fields(self.where, value or {}, prefix=f"{self.prefix}{name}.")

    def join(self, inner: "Fields", subject: Subject = "everything") -> None:
        """Take over the problems of `inner`, what was left in it included."""
        self.problems += inner.finished(subject)

    def finished(self, subject: Subject = "everything") -> list[Problem]:
        """Return all problems, among them every field that was not taken. One that says `false` says nothing."""
        for name in sorted(self._left):
            if self._fields.get(name) is not False:
                self.refuse(subject, name, "is not known to this segrt")
        self._left.clear()
        return self.problems

    def _value(self, name: str) -> Any:
        value = self._fields.get(name)
        return self._defaults.get(name) if value is None else value

    def _shown(self, name: str) -> str:
        value = self._value(name)
        parts = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list) else []
        if len(parts) > _SHOWN or any(isinstance(part, list | Mapping) for part in parts):
            return "{…}" if isinstance(value, Mapping) else "[…]"
        try:
            text = json.dumps(value)
        except (TypeError, ValueError):
            text = str(value)
        return " ".join(text.split())[:60]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _is_near(value: Any) -> bool:
    return _is_number(value) and abs(value) <= _FARTHEST
