"""The decode rules by name, and their decoders by name and by the device that the heads lie on."""

from typing import Any

import msgspec

from segrt.runtime.decode.rule import Decoder, DecodeRule
from segrt.runtime.errors import BackendError
from segrt.runtime.inference.tensors import Device
from segrt.runtime.registry import Registry
from segrt.runtime.results.technique import Technique

_ROOM = "segrt.runtime.decode"

RULES: Registry[type[DecodeRule]] = Registry(
    "decode rule",
    {
        "argmax": f"{_ROOM}.argmax:Argmax",
        "class_map": f"{_ROOM}.class_map:ClassMap",
        "query_semantic": f"{_ROOM}.query_semantic:QuerySemantic",
        "binary": f"{_ROOM}.binary:Binary",
        "query_instances": f"{_ROOM}.query_instances:QueryInstances",
        "paste_masks": f"{_ROOM}.paste_masks:PasteMasks",
        "prototype_masks": f"{_ROOM}.prototype_masks:PrototypeMasks",
        "matrix_nms": f"{_ROOM}.matrix_nms:MatrixNms",
        "merge_queries": f"{_ROOM}.merge_queries:MergeQueries",
        "group_centers": f"{_ROOM}.group_centers:GroupCenters",
        "merge_members": f"{_ROOM}.merge_members:MergeMembers",
        "prompted_masks": f"{_ROOM}.prompted_masks:PromptedMasks",
    },
)
# Rule → its program on the GPU, a class of `segrt.runtime.decode.cuda.program`, which stands above this module.
PROGRAMS: Registry[Any] = Registry(
    "program",
    {
        "argmax": f"{_ROOM}.cuda.argmax:ArgmaxProgram",
        "class_map": f"{_ROOM}.cuda.class_map:ClassMapProgram",
        "query_semantic": f"{_ROOM}.cuda.query_semantic:QuerySemanticProgram",
        "binary": f"{_ROOM}.cuda.binary:BinaryProgram",
        "query_instances": f"{_ROOM}.cuda.query_instances:QueryInstancesProgram",
        "paste_masks": f"{_ROOM}.cuda.paste_masks:PasteMasksProgram",
        "prototype_masks": f"{_ROOM}.cuda.prototype_masks:PrototypeMasksProgram",
        "matrix_nms": f"{_ROOM}.cuda.matrix_nms:MatrixNmsProgram",
        "merge_queries": f"{_ROOM}.cuda.merge_queries:MergeQueriesProgram",
        "group_centers": f"{_ROOM}.cuda.group_centers:GroupCentersProgram",
        "merge_members": f"{_ROOM}.cuda.merge_members:MergeMembersProgram",
    },
)
# "RULE on DEVICE" → function. Those on the GPU are programs, all run in the same way.
DECODERS: Registry[Decoder] = Registry(
    "decoder",
    {f"{name} on cpu": f"{_ROOM}.{name}:{name}" for name in RULES}
    | {f"{name} on cuda": f"{_ROOM}.cuda.running:decode_on_gpu" for name in PROGRAMS},
)

_JSON_TYPES = {dict: "object", list: "array", str: "str", bool: "bool", int: "int", float: "float", type(None): "null"}


def find_decoder(decode: DecodeRule, device: Device) -> Decoder:
    """Return the decoder for the rule of `decode` with heads on `device`; raise BackendError when there is none."""
    name = f"{decode.rule_name} on {device}"
    if name not in DECODERS:
        raise BackendError(f"there is no decoder for rule {decode.rule_name!r} with heads on {device}")
    return DECODERS.load(name)


def rules_of(technique: Technique) -> list[str]:
    """Return the names of the rules that decode to `technique`."""
    return [name for name in RULES if RULES.load(name).technique == technique]


def rule_from_json(value: Any) -> DecodeRule:
    """Return the rule that `value`, decoded JSON, stands for; raise msgspec.ValidationError for what is none."""
    if not isinstance(value, dict):
        raise msgspec.ValidationError(f"Expected `object`, got `{_JSON_TYPES[type(value)]}`")
    if "rule" not in value:
        raise msgspec.ValidationError("Object missing required field `rule`")
    name = value["rule"]
    if not isinstance(name, str):
        raise msgspec.ValidationError(f"Expected `str`, got `{_JSON_TYPES[type(name)]}` - at `$.rule`")
    if name not in RULES:
        raise msgspec.ValidationError(f"Invalid value {name!r} - at `$.rule`")
    return msgspec.convert(value, RULES.load(name))
