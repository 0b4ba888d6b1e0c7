"""What a caller changes of a bundle's decode rule: thresholds, and whose merge."""

from dataclasses import dataclass, fields, replace
from typing import Any, get_args

from segrt.runtime.decode.merge_queries import MergeRule
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.errors import BundleError, one_line


@dataclass(frozen=True)
class RuleChanges:
    """Options that replace those of a decode rule; None leaves the rule's own.

    score_threshold, overlap_threshold: 0 to 1. merge_rule: "maskformer", "mask2former", "eomt", "yoso" or "detr".
    compat: with the peer's known mistakes, or without them.
    """

    score_threshold: float | None = None
    overlap_threshold: float | None = None
    merge_rule: str | None = None
    compat: bool | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What is changed, name → value."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}

    def fitting(self, rule: DecodeRule) -> "RuleChanges":
        """Return those of the changes whose options `rule` has."""
        return replace(self, **{name: None for name in self.given if name not in rule.options})

    def of(self, rule: DecodeRule, where: str) -> DecodeRule:
        """Return `rule` with the changes; raise BundleError, naming `where` it stands, for one that cannot be."""
        given = self.given
        for name, value in given.items():
            if name not in rule.options:
                raise BundleError(f"{where}: the rule {rule.rule_name} has no {name}, but got {value}; leave it out")
            if name.endswith("_threshold") and not 0.0 <= value <= 1.0:
                raise BundleError(f"{name} must be 0 to 1, but got {value}")
        if self.merge_rule is not None:
            choices = get_args(MergeRule)
            if self.merge_rule not in choices:
                raise BundleError(f"merge_rule must be one of {', '.join(choices)}, but got {self.merge_rule!r}")
            if self.compat is None and self.merge_rule != rule.options["merge_rule"]:
                given["compat"] = False  # those of another merge
        try:
            return rule.replaced(**given) if given else rule
        except ValueError as error:
            raise BundleError(f"{where}: {one_line(error)}") from None
