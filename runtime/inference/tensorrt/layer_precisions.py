"""Which precision each layer runs in: before the build from the parsed network, after it from the engine inspector."""

from typing import Any

import msgspec

from segrt.runtime.files.json_files import JsonError, convert_json, decode_loose_json
from segrt.runtime.inference.tensorrt.engine_record import LayerPrecision
from segrt.runtime.inference.tensorrt.parsing import Parsed, dtype_name

_WITHOUT_WORK = frozenset({"CONSTANT", "SHUFFLE", "IDENTITY", "SHAPE"})
_MULTIPLYING = frozenset({"CONVOLUTION", "DECONVOLUTION", "MATRIX_MULTIPLY", "EINSUM"})


def network_precisions(parsed: Parsed) -> tuple[LayerPrecision, ...]:
    """Return the layers that do work, each with the dtype that it computes in.

    In a strongly typed network that is the dtype of its output; a convolution or matrix product between
    dequantised tensors is computed on the quantised ones.
    """
    network = parsed.network
    quantised: dict[str, str] = {}  # name of a dequantised tensor: dtype of what it was made of
    layers = []
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        kind = layer.type.name
        output = layer.get_output(0)
        if kind == "DEQUANTIZE" and output is not None:
            quantised[output.name] = dtype_name(layer.get_input(0).dtype)
        if kind in _WITHOUT_WORK or output is None:
            continue
        precision = dtype_name(output.dtype)
        if kind in _MULTIPLYING:
            inputs = [layer.get_input(number) for number in range(layer.num_inputs)]
            sources = [quantised.get(tensor.name) for tensor in inputs if tensor is not None]
            if len(sources) >= 2 and sources[0] and sources[1]:
                precision = sources[0]
        layers.append(LayerPrecision(layer.name, kind.lower(), precision))
    return tuple(layers)


def engine_precisions(text: str) -> tuple[LayerPrecision, ...]:
    """Return the layers in the JSON of TensorRT's engine inspector, each with the dtype of its first input.

    Raises ValueError when it is no such JSON, or one without details (an engine that was built without them).
    """
    layers = []
    for entry in inspected_layers(text):
        if isinstance(entry, str):
            raise ValueError("has names of layers alone; the engine was built without details")
        layers.append(LayerPrecision(entry.name, kind_of(entry), precision_of(entry)))
    return tuple(layers)


class InspectedLayer(msgspec.Struct, frozen=True, rename="pascal"):
    """A layer in the inspector's JSON, as far as it is read."""

    name: str = ""
    parameter_type: str = ""
    layer_type: str = ""
    metadata: str = ""
    inputs: list[dict[str, Any]] = []
    outputs: list[dict[str, Any]] = []


class _Information(msgspec.Struct, frozen=True, rename="pascal"):
    layers: list[InspectedLayer | str]


def inspected_layers(text: str) -> list[InspectedLayer | str]:
    """Return the layers in the JSON of TensorRT's engine inspector, names alone where it was built without details.

    Raises ValueError when it is no such JSON.
    """
    try:
        information: _Information = convert_json(decode_loose_json(text), _Information)
    except JsonError as error:
        raise ValueError(f"is no engine information ({error})") from None
    return information.layers


def kind_of(entry: InspectedLayer) -> str:
    """Return the kind of a layer in the inspector's JSON, "convolution" for instance."""
    return (entry.parameter_type or entry.layer_type).lower()


def precision_of(entry: InspectedLayer) -> str:
    """Return the dtype that a layer in the inspector's JSON reads, "unknown" if it does not say.

    It stands in texts such as "Row major linear FP16 format" or "Channel major FP32 format where channel % 4 == 0".
    """
    for tensor in [*entry.inputs, *entry.outputs]:
        form = str(tensor.get("Format/Datatype") or tensor.get("Datatype") or tensor.get("Format") or "")
        for word in form.replace(",", " ").split():
            if word in _INSPECTOR_DTYPES:
                return _INSPECTOR_DTYPES[word]
    return "unknown"


_INSPECTOR_DTYPES = {
    "FP32": "float32",
    "Float": "float32",
    "FP16": "float16",
    "Half": "float16",
    "BF16": "bfloat16",
    "BFloat16": "bfloat16",
    "Int8": "int8",
    "INT8": "int8",
    "FP8": "float8",
    "Int32": "int32",
    "INT32": "int32",
    "Int64": "int64",
    "INT64": "int64",
    "UInt8": "uint8",
    "UINT8": "uint8",
    "Bool": "bool",
    "BOOL": "bool",
}
