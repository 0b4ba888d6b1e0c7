"""Reads `manifest.json` strictly: an unknown major version or feature is refused by name, a newer minor tolerated."""

import re
from typing import Any

import msgspec

from segrt.runtime.bundle.consistency import check_manifest
from segrt.runtime.bundle.manifest import FORMAT, KNOWN_FEATURES, Manifest
from segrt.runtime.decode.decoders import RULES, rule_from_json
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.errors import BundleError
from segrt.runtime.files.json_files import JsonError, convert_json, decode_json, encode_json

_REMEDY = "write the bundle again with `segrt export` or `segrt adopt`"


class _Header(msgspec.Struct):
    """What must be understood before anything else; all other fields are ignored here."""

    format: str
    required_features: tuple[str, ...] = ()


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Return the manifest in `data`; `where` names the file in errors.

    Raises BundleError when it is no JSON, has an unknown major version or feature, lacks or misspells a field, or
    contradicts itself. Fields unknown to this version are accepted only in a manifest of a newer minor version.
    """
    try:
        header: _Header = decode_json(data, _Header)
    except JsonError as error:
        what = f"{error}" if error.is_json else f"is no JSON ({error})"
        raise BundleError(f"{where}: {what}; {_REMEDY}") from None
    newer = _is_newer_minor(header.format, where)
    unknown = sorted(set(header.required_features) - KNOWN_FEATURES)
    if unknown:
        names = ", ".join(repr(name) for name in unknown)
        raise BundleError(f"{where}: needs {names}, which this segrt does not know; install a newer segrt")
    try:
        if newer:
            known = _prune(decode_json(data), msgspec.inspect.type_info(Manifest))
            manifest: Manifest = convert_json(known, Manifest, _decode_rule)
        else:
            manifest = decode_json(data, Manifest, _decode_rule)
    except JsonError as error:
        raise BundleError(f"{where}: {_with_one_path(str(error))}; {_REMEDY}") from None
    check_manifest(manifest, where)
    return manifest


def dump_manifest(manifest: Manifest) -> bytes:
    """Return `manifest` as indented JSON that ends in a newline."""
    return msgspec.json.format(encode_json(manifest), indent=2) + b"\n"


def _is_newer_minor(version: str, where: str) -> bool:
    match = re.fullmatch(r"([0-9]{1,6})\.([0-9]{1,6})", version)
    if match is None:
        raise BundleError(f'{where}: format must be "major.minor", but got {version!r}; {_REMEDY}')
    major, minor = int(match[1]), int(match[2])
    if major != FORMAT[0]:
        remedy = "install a newer segrt" if major > FORMAT[0] else _REMEDY
        raise BundleError(f"{where}: has format {version}, but this segrt reads {FORMAT[0]}.x; {remedy}")
    return minor > FORMAT[1]


def _decode_rule(wanted: type, value: Any) -> DecodeRule:
    """Return the decode rule that `value` (decoded JSON) stands for; msgspec puts the path before a ValueError."""
    if wanted is not DecodeRule:
        raise NotImplementedError(wanted)
    try:
        return rule_from_json(value)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from None


def _with_one_path(message: str) -> str:
    """Return msgspec's `message` with the path inside a decode rule behind that of the rule, as one path."""
    return re.sub(r" - at `\$([^`]*)` - at `(\$[^`]*)`\Z", r" - at `\2\1`", message)


def _prune(value: Any, info: msgspec.inspect.Type) -> Any:
    """Return `value` (decoded JSON) without the fields that the structs of `info` do not know, at any depth."""
    kinds = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    for kind in kinds:
        if isinstance(kind, msgspec.inspect.Metadata):
            return _prune(value, kind.type)
        if isinstance(kind, msgspec.inspect.CustomType) and kind.cls is DecodeRule and isinstance(value, dict):
            name = value.get("rule")
            if not isinstance(name, str) or name not in RULES:
                return value
            return _prune(value, msgspec.inspect.type_info(RULES.load(name)))
        if isinstance(kind, msgspec.inspect.StructType) and isinstance(value, dict) and _has_tag(value, kind):
            fields = {field.encode_name: field.type for field in kind.fields}
            tag = {kind.tag_field: value[kind.tag_field]} if kind.tag_field else {}
            return tag | {name: _prune(item, fields[name]) for name, item in value.items() if name in fields}
        if isinstance(kind, msgspec.inspect.DictType) and isinstance(value, dict):
            return {name: _prune(item, kind.value_type) for name, item in value.items()}
        if isinstance(kind, msgspec.inspect.VarTupleType) and isinstance(value, list):
            return [_prune(item, kind.item_type) for item in value]
    return value


def _has_tag(value: dict[str, Any], kind: msgspec.inspect.StructType) -> bool:
    return kind.tag_field is None or value.get(kind.tag_field) == kind.tag
