"""Reads an ONNX file with NVIDIA's parser, into a strongly typed network: precision lives in the graph."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segrt.runtime.errors import BackendError
from segrt.runtime.inference.tensorrt.flavor import Flavor, version_numbers
from segrt.runtime.inference.tensorrt.messages import one_line, plain
from segrt.runtime.inference.tensors import TensorSpec


@dataclass(frozen=True)
class Refusal:
    """A node of the ONNX graph that TensorRT refuses: its name, operator and TensorRT's own reason.

    `name` is "" where TensorRT names no node, `operator` where it does not say.
    """

    name: str
    operator: str
    reason: str

    def __str__(self) -> str:
        where = f"node {self.name!r}" if self.name else "the network"
        return f"{where}{f' ({self.operator})' if self.operator else ''}: {self.reason}"


class ParseError(BackendError):
    """TensorRT's parser refuses nodes of a network; `refusals` lists them."""

    def __init__(self, path: Path, flavor: Flavor, refusals: Sequence[Refusal]) -> None:
        self.refusals = tuple(refusals)
        more = f" (and {len(refusals) - 1} more)" if len(refusals) > 1 else ""
        super().__init__(
            f"{path}: {flavor} cannot parse the network: {refusals[0]}{more}; "
            "export it without this operator (`segrt export --check-tensorrt` names the module)"
        )


@dataclass(frozen=True, eq=False)
class Parsed:
    """A parsed network. It refers to weights that the parser owns, so the parser and builder are kept with it."""

    path: Path
    flavor: Flavor
    builder: Any
    network: Any
    parser: Any

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Name, dtype and shape of each input; a string in a shape is a length that is not fixed."""
        return tuple(self._spec(self.network.get_input(index)) for index in range(self.network.num_inputs))

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Name, dtype and shape of each output; a string in a shape is a length that is not fixed."""
        return tuple(self._spec(self.network.get_output(index)) for index in range(self.network.num_outputs))

    def _spec(self, tensor: Any) -> TensorSpec:
        shape = tuple(int(dim) if dim >= 0 else f"dim{axis}" for axis, dim in enumerate(tensor.shape))
        return TensorSpec(tensor.name, dtype_name(tensor.dtype), shape)


def dtype_name(dtype: Any) -> str:
    """Return numpy's name of a TensorRT `DataType`: "float16" for HALF; those that numpy lacks keep TensorRT's."""
    return _DTYPES.get(str(dtype.name), str(dtype.name).lower())


def parse(path: Path, flavor: Flavor) -> Parsed:
    """Parse the ONNX file at `path` into a strongly typed network.

    Raises ParseError, which names every node that the parser refuses, or BackendError when TensorRT does not start.
    """
    api = flavor.api
    with flavor.messages.fresh() as messages:
        try:
            builder = api.Builder(flavor.logger)
            network = builder.create_network(_strongly_typed(flavor))
            parser = api.OnnxParser(network, flavor.logger)
        except (TypeError, RuntimeError) as error:  # pybind's way to say that the library returned nothing
            raise BackendError(
                f"{flavor} cannot start ({messages.reason(one_line(str(error)))}); "
                "it needs a GPU with a working driver, `segrt doctor` says more"
            ) from None
        if not parser.parse_from_file(str(path)):
            refusals = [_refusal(parser.get_error(index)) for index in range(parser.num_errors)]
            raise ParseError(path, flavor, refusals or [Refusal("", "", messages.reason("the parser gives no reason"))])
    return Parsed(path, flavor, builder, network, parser)


def refused_by_builder(parsed: Parsed, message: str) -> tuple[Refusal, ...]:
    """Return the ONNX nodes that an error of the builder speaks of.

    The builder names its own layers: those of the parser, which are called like their nodes or carry their names as
    metadata, or fused ones, whose names are made of several.
    """
    names: dict[str, str] = {}
    for index in range(parsed.network.num_layers):
        layer = parsed.network.get_layer(index)
        origin = _ORIGIN.search(str(getattr(layer, "metadata", "")))
        node = origin[1] if origin else layer.name
        names.setdefault(layer.name, node)
        names.setdefault(node, node)
    refused: dict[str, None] = {}
    for token in _TOKEN.findall(message.replace("...", " ")):
        name = token.rstrip(".:")
        while name not in names and _SUFFIX.search(name):  # layers that the builder adds are numbered
            name = _SUFFIX.sub("", name)
        if name in names and not name.isalpha():  # a plain word may be one of the sentence
            refused.setdefault(names[name])
    return tuple(Refusal(node, "", plain(message)) for node in refused)


_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "INT8": "int8",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "BOOL": "bool",
    "FP8": "float8",
    "INT4": "int4",
    "FP4": "float4",
}
_ORIGIN = re.compile(r"\[ONNX Layer: ([^\]]+)\]")
_TOKEN = re.compile(r"[\w./:-]+")
_SUFFIX = re.compile(r"_[0-9]+$")


def _strongly_typed(flavor: Flavor) -> int:
    """Return the flags of a strongly typed network: RTX and TensorRT 11 know no other, in 10.x it is one of two."""
    if flavor.is_rtx or version_numbers(flavor.version)[0] >= 11:
        return 0
    return 1 << int(flavor.api.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def _refusal(error: Any) -> Refusal:
    lines = [line for line in str(error.desc()).splitlines() if line.strip()] or ["false"]
    # The parser's own check says only "false" of an operator that it has no code for; "Invalid Node" precedes causes.
    reason = lines[1] if lines[0].startswith("Invalid Node") and len(lines) > 1 else lines[0]
    operator = str(error.node_operator())
    if reason.strip() == "false":
        reason = f"TensorRT does not support the operator {operator}"
    return Refusal(str(error.node_name()), operator, plain(reason))
