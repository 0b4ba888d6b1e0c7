"""What every decode rule is, and what its decoder is given.

A rule is one file of this room: a struct of its thresholds, which stay out of the graph so that a camera is tuned
without a new export, and the decoder that makes a result of heads by it. `decoders` lists both by the rule's name.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, TypeVar, cast

import msgspec

from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Label, Result
from segrt.runtime.results.technique import Technique

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Rule = TypeVar("Rule", bound="DecodeRule")


class DecodeRule:
    """A rule as it stands in a manifest. Subclasses are frozen msgspec structs, tagged "rule" with the rule's name.

    `technique` is what it decodes to, `roles` are the heads that it needs, `least_labels` is how many classes it needs
    to tell apart: an argmax over one gives that one everywhere.
    """

    __slots__ = ()
    technique: ClassVar[Technique]
    roles: ClassVar[tuple[str, ...]] = ()
    least_labels: ClassVar[int] = 1

    @property
    def rule_name(self) -> str:
        """The name in the manifest, `merge_queries` for instance."""
        return str(cast("msgspec.Struct", self).__struct_config__.tag)

    @property
    def options(self) -> dict[str, Any]:
        """The rule's thresholds and other options, name → value; those that are left out are not among them."""
        values = {name: getattr(self, name) for name in cast("msgspec.Struct", self).__struct_fields__}
        return {name: value for name, value in values.items() if value is not msgspec.UNSET}

    @property
    def has_no_object_class(self) -> bool:
        """Whether head `class_logits` has "no object" behind the labels' classes."""
        return True

    @property
    def required_features(self) -> tuple[str, ...]:
        """What a reader of the manifest must know by name (`Manifest.required_features`)."""
        return ()

    def replaced(self: Rule, **options: Any) -> Rule:
        """Return the rule with other values for some of its options."""
        return cast("Rule", msgspec.structs.replace(cast("msgspec.Struct", self), **options))

    def label_problem(self, labels: int) -> str | None:
        """Return what is wrong with so many labels, or None."""
        if labels >= self.least_labels:
            return None
        return (
            f"decode rule {self.rule_name} needs at least {self.least_labels} labels, but there is {labels}: "
            "of one class, every pixel would be it; rule binary cuts the score of one object at a threshold"
        )

    def head_problems(self, heads: Mapping[str, HeadSpec], labels: int) -> Iterable[str]:  # noqa: ARG002
        """Yield what makes `heads` (role → head) unfit for the rule beyond their form, with so many labels."""
        return ()


@dataclass(frozen=True)
class MemberRule:
    """One network of a bundle of two: its rule and labels; `classes` as in `segrt.runtime.bundle.manifest.Member`."""

    name: str
    decode: DecodeRule
    labels: tuple[Label, ...]
    classes: tuple[int, ...]


@dataclass(frozen=True)
class Context:
    """What a decoder needs besides the heads: the rule with its thresholds, the labels, CPU threads (0: default).

    `members` are the networks of a bundle that has two; the heads' roles then begin with the member's name.
    """

    decode: DecodeRule
    labels: tuple[Label, ...]
    threads: int = 0
    members: tuple[MemberRule, ...] = ()

    def by(self, decode: DecodeRule) -> "Context":
        """Return it with another rule, or the same one with other thresholds."""
        return replace(self, decode=decode)


# (role → the head's array of one frame, without the batch axis; geometry; context) → result at source size
Decoder = Callable[[Mapping[str, Any], Geometry, Context], Result]
