"""Changes of a decode rule as parameters of a request, which are texts, and back."""

from collections.abc import Mapping
from typing import Any

from segrt.runtime.decode.rule_changes import RuleChanges
from segrt.runtime.errors import BundleError

BUNDLE = "bundle"
"""The parameter that names the bundle which a client counts on, by its digest."""
_FLAGS = {"1": True, "0": False}


def to_parameters(changes: RuleChanges) -> dict[str, str]:
    """Return the changes, name → text; thresholds in full, flags as 1 and 0."""
    return {
        name: str(int(value)) if isinstance(value, bool) else str(value) for name, value in changes.given.items()
    }  # fmt: skip


def to_changes(parameters: Mapping[str, Any]) -> RuleChanges | None:
    """Return the changes that parameters ask for, None for none; raise BundleError for what is none."""
    numbers: dict[str, float | None] = {}
    for name in ("score_threshold", "overlap_threshold"):
        if name in parameters:
            try:
                numbers[name] = float(parameters[name])
            except (TypeError, ValueError):
                raise BundleError(f"{name} must be a number of 0 to 1, but got {parameters[name]!r}") from None
    compat = parameters.get("compat")
    if compat is not None and str(compat) not in _FLAGS:
        raise BundleError(f"compat must be 1 or 0, but got {compat!r}")
    merge = parameters.get("merge_rule")
    changes = RuleChanges(
        **numbers,
        merge_rule=None if merge is None else str(merge),
        compat=None if compat is None else _FLAGS[str(compat)],
    )
    return changes if changes.given else None
