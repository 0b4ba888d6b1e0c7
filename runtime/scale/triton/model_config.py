"""`config.pbtxt`: what a Triton server is told of a model, written from a bundle's manifest.

Fields are those of `model_config.proto` (triton-inference-server/common, protobuf/model_config.proto).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from segrt.runtime.bundle.manifest import Manifest
from segrt.runtime.preprocess.channels import image_input
from segrt.runtime.remote.description import PARAMETER, own_version
from segrt.runtime.remote.result_tensors import DESCRIPTION, ENCODED, IMAGE, PROTOCOL, result_kinds
from segrt.runtime.scale.triton.serving_options import ServingOptions

LABELS = "labels.txt"
WARMUP = "picture"
_TYPES = {
    "uint8": "TYPE_UINT8", "uint16": "TYPE_UINT16", "int32": "TYPE_INT32", "int64": "TYPE_INT64",
    "float32": "TYPE_FP32", "float64": "TYPE_FP64",
}  # fmt: skip
_CLASSES = ("class_map", "class_ids")  # the outputs whose values are positions in the labels


@dataclass(frozen=True)
class Served:
    """What stands in the file: the model's name, the bundle and its digest, the largest batch, the warm-up's shape."""

    name: str
    manifest: Manifest
    digest: str
    batch: int
    warmup: tuple[int, ...]


def config_text(served: Served, options: ServingOptions) -> str:
    """Return the file's text."""
    blocks = [
        f"name: {_quoted(served.name)}",
        'backend: "python"',
        f"max_batch_size: {served.batch}",
        _block("version_policy", [_block("latest", [f"num_versions: {options.versions}"])]),
        *_inputs(served.manifest),
        *_outputs(served.manifest),
        _instance_group(options),
        _batching(options),
        _warmup(served),
        *(_parameter(name, value) for name, value in _parameters(served, options).items()),
    ]
    return "\n".join(blocks) + "\n"


def image_dims(manifest: Manifest) -> tuple[int, ...]:
    """Return the shape of the input for raw pictures, (H, W, channels), -1 for what varies."""
    spec = image_input(manifest.inputs)
    return (-1, -1, 3 if spec.takes_pictures and spec.color != "grey" else -1)


def _inputs(manifest: Manifest) -> list[str]:
    spec = image_input(manifest.inputs)
    given = [(ENCODED, "uint8", (-1,)), (IMAGE, spec.value_dtype, image_dims(manifest))]
    # Pictures of different sizes go into one batch: the network sees all of them at its own size.
    return [
        _block(
            "input",
            [*_tensor(name, dtype, shape), "optional: true", "allow_ragged_batch: true"],
        )
        for name, dtype, shape in given
    ]


def _outputs(manifest: Manifest) -> list[str]:
    outputs = []
    for kind in result_kinds(manifest):
        fields = _tensor(kind.name, kind.dtype, kind.shape)
        if kind.name in _CLASSES:
            fields.append(f"label_filename: {_quoted(LABELS)}")
        outputs.append(_block("output", fields))
    return [*outputs, _block("output", _tensor(DESCRIPTION, "uint8", (-1,)))]


def _tensor(name: str, dtype: str, shape: Sequence[int]) -> list[str]:
    return [f"name: {_quoted(name)}", f"data_type: {_TYPES[dtype]}", _dims(shape)]


def _dims(shape: Sequence[int]) -> str:
    return f"dims: [ {', '.join(map(str, shape))} ]"


def _instance_group(options: ServingOptions) -> str:
    fields = [f"count: {options.instances}", f"kind: KIND_{options.kind.upper()}"]
    if options.gpus:
        fields.append(f"gpus: [ {', '.join(map(str, options.gpus))} ]")
    return _block("instance_group", fields)


def _batching(options: ServingOptions) -> str:
    policy = _block("default_queue_policy", [f"max_queue_size: {options.queue}"])
    delay = round(options.queue_delay * 1e6)
    return _block("dynamic_batching", [f"max_queue_delay_microseconds: {delay}", policy])


def _warmup(served: Served) -> str:
    spec = image_input(served.manifest.inputs)
    value = _block(
        "value",
        [f"data_type: {_TYPES[spec.value_dtype]}", _dims(served.warmup), f"input_data_file: {_quoted(WARMUP)}"],
    )
    inputs = _block("inputs", [f"key: {_quoted(IMAGE)}", value])
    return _block("model_warmup", [f"name: {_quoted(WARMUP)}", "batch_size: 1", inputs])


def _parameters(served: Served, options: ServingOptions) -> dict[str, str]:
    parameters = {
        PARAMETER: str(PROTOCOL),
        "segrt_version": own_version(),
        "bundle": served.manifest.name,
        "bundle_format": served.manifest.format,
        "bundle_digest": served.digest,
        "technique": served.manifest.technique,
        "precision": served.manifest.variants[0].precision,
    }
    if options.environment is not None:
        parameters["EXECUTION_ENV_PATH"] = options.environment
    return parameters


def _parameter(name: str, value: str) -> str:
    return _block("parameters", [f"key: {_quoted(name)}", _block("value", [f"string_value: {_quoted(value)}"])])


def _block(name: str, fields: Sequence[str]) -> str:
    """Return a message in protobuf's text format."""
    lines = [f"  {line}" for field in fields for line in field.splitlines()]
    return "\n".join([f"{name} {{", *lines, "}"])


def _quoted(text: str) -> str:
    """Return a string in protobuf's text format, which takes UTF-8 and the escapes of C."""
    return json.dumps(text, ensure_ascii=False)
