"""The table of decoders: (rule, device of the heads) → function, so that a GPU can have its own beside the CPU's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

import msgspec

from segrt.runtime.bundle.manifest import Member
from segrt.runtime.bundle.rules import rule_name
from segrt.runtime.errors import BackendError
from segrt.runtime.inference.backend import Device
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult, Label, PanopticResult, SemanticResult


@dataclass(frozen=True)
class Context:
    """What a decoder needs besides the heads: the rule with its thresholds, the labels, CPU threads (0: default).

    `members` are the networks of a bundle that has two; the heads' roles then begin with the member's name.
    """

    decode: msgspec.Struct
    labels: tuple[Label, ...]
    threads: int = 0
    members: tuple[Member, ...] = ()


# (role → the head's array of one frame, without the batch axis; geometry; context) → result at source size
Decoder = Callable[[Mapping[str, Any], Geometry, Context], SemanticResult | InstanceResult | PanopticResult]

_DECODERS: dict[tuple[str, str], str] = {}


def register(rule: str, device: str, target: str) -> None:
    """Add the decoder `target` ("module:function") for a rule and device; raise ValueError if there is one."""
    key = (rule, device)
    if key in _DECODERS:
        raise ValueError(f"decoder {key} is registered twice: {_DECODERS[key]} and {target}")
    _DECODERS[key] = target


register("argmax", "cpu", "segrt.runtime.decode.argmax:argmax")
register("class_map", "cpu", "segrt.runtime.decode.argmax:class_map")
register("query_semantic", "cpu", "segrt.runtime.decode.argmax:query_semantic")
register("query_instances", "cpu", "segrt.runtime.decode.query_instances:query_instances")
register("paste_masks", "cpu", "segrt.runtime.decode.query_instances:paste_masks")
register("prototype_masks", "cpu", "segrt.runtime.decode.prototype_masks:prototype_masks")
register("matrix_nms", "cpu", "segrt.runtime.decode.matrix_nms:matrix_nms")
register("merge_queries", "cpu", "segrt.runtime.decode.merge_queries:merge_queries")
register("merge_members", "cpu", "segrt.runtime.decode.merge_members:merge_members")
register("group_centers", "cpu", "segrt.runtime.decode.group_centers:group_centers")


def find_decoder(decode: msgspec.Struct, device: Device) -> Decoder:
    """Return the decoder for the rule of `decode` with heads on `device`; raise BackendError when there is none."""
    key = (rule_name(decode), device)
    if key not in _DECODERS:
        raise BackendError(f"there is no decoder for rule {key[0]!r} with heads on {key[1]}")
    module, _, function = _DECODERS[key].partition(":")
    return cast("Decoder", getattr(import_module(module), function))
