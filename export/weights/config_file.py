"""Reads the JSON files beside published weights: config.json and preprocessor_config.json of transformers."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from segrt.runtime.errors import SegrtError, one_line
from segrt.runtime.files.json_files import JsonError, decode_json
from segrt.runtime.files.reading import read_bytes

_MOST_CLASSES = 65535


class _Common(msgspec.Struct):
    """The fields of config.json that are read here, whatever the network."""

    model_type: str | None = None
    architectures: list[str] | None = None
    id2label: dict[int, str] | None = None


def read_config(path: Path, remedy: str) -> dict[str, Any]:
    """Return the JSON object in `path`; raise SegrtError, ending in `remedy`, where there is none.

    What every network has (type, architectures, classes) is of the types that transformers writes.
    """
    try:
        data = read_bytes(path)
        content: Any = decode_json(data)
        if not isinstance(content, dict):
            raise SegrtError(f"{path}: must be a JSON object; {remedy}")
        common: _Common = decode_json(data, _Common)
    except FileNotFoundError:
        raise SegrtError(f"{path}: is missing; {remedy}") from None
    except OSError as error:
        raise SegrtError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    except JsonError as error:
        what = "is not what transformers writes" if error.is_json else "is no JSON"
        raise SegrtError(f"{path}: {what} ({error}); {remedy}") from None
    numbers = list(common.id2label or {})
    if numbers and (min(numbers) < 0 or max(numbers) >= _MOST_CLASSES):
        raise SegrtError(f"{path}: `id2label` numbers classes from 0 to {_MOST_CLASSES - 1}; {remedy}")
    return content


def class_names(config: Mapping[str, Any]) -> dict[int, str]:
    """Return the names of the classes of a configuration that `read_config` returned, by number; {} if it has none."""
    return {int(number): name for number, name in (config.get("id2label") or {}).items()}


def made_by_transformers(make: Callable[..., Any], where: str, *arguments: Any, **fields: Any) -> Any:
    """Return the configuration that `make` builds of `fields`; raise SegrtError with transformers' reason."""
    try:
        return make(*arguments, **fields)
    except Exception as error:  # its validation has errors of its own, of several packages
        raise SegrtError(
            f"{where}: transformers refuses its config.json ({one_line(error, 200)}); save it again"
        ) from None
