"""Thresholds that replace those of a bundle's decode rule."""

from collections.abc import Mapping

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.errors import BundleError


def with_thresholds(bundle: Bundle, thresholds: Mapping[str, float | None]) -> DecodeRule:
    """Return the bundle's rule with these thresholds, None for its own; raise BundleError for one that can't be."""
    decode = bundle.manifest.decode
    given = {name: value for name, value in thresholds.items() if value is not None}
    for name, value in given.items():
        if name not in decode.options:
            raise BundleError(
                f"{bundle.folder}: the rule {decode.rule_name} has no {name}, but got {value}; leave it out"
            )
        if not 0.0 <= value <= 1.0:
            raise BundleError(f"{name} must be 0 to 1, but got {value}")
    return decode.replaced(**given) if given else decode
