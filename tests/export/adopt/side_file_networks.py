"""A network whose logits are its input, with another toolchain's files beside it, and what its bundle feeds it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.picture import network_inputs

THREE = {"0": "first", "1": "second", "2": "third"}
CONFIG = {"architectures": ["SegformerForSemanticSegmentation"], "model_type": "segformer", "id2label": THREE}


def identity(folder: Path, size: tuple[Any, Any] = (64, 96), name: str = "model.onnx") -> Path:
    """Write a network (1, 3, h, w) whose logits are its input; return its path."""
    shape = [1, 3, *size]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["pixel_values"], ["logits"])],
        "identity",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def beside(network: Path, **files: Any) -> None:
    """Write JSON files beside the network, `config` to config.json."""
    for name, content in files.items():
        (network.parent / f"{name}.json").write_text(json.dumps(content))


def pictures(*sizes: tuple[int, int]) -> list[np.ndarray]:
    """Pictures (uint8 BGR) of shapes and noise: landscape, portrait and a small one by default."""
    rng = np.random.default_rng(0)
    made = []
    for height, width in sizes or ((213, 320), (301, 200), (40, 57)):
        coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
        large = np.kron(coarse, np.ones((8, 8, 1), np.uint8))[:height, :width]
        noise = rng.integers(-20, 21, large.shape)
        made.append(np.clip(large.astype(np.int64) + noise, 0, 255).astype(np.uint8))
    return made


def adopted(network: Path, **options: Any) -> tuple[Any, list[str]]:
    """Adopt the network; return its manifest and what was said."""
    out = network.parent / "adopted"
    said = adopt_network(network, out, AdoptOptions(**{"overwrite": True, **options}))
    return read_bundle(out).manifest, said


def fed(manifest: Any, picture: np.ndarray) -> tuple[np.ndarray, Geometry]:
    """Return what the bundle feeds its network for `picture`, as (3, h, w), and where the picture lies in it."""
    arrays, geometry = network_inputs(manifest.inputs, picture)
    return arrays[manifest.image_input.name][0], geometry


def grey_levels(manifest: Any, difference: np.ndarray) -> np.ndarray:
    """Return a difference of network inputs (3, h, w) in grey levels of the picture."""
    spec = manifest.image_input
    levels: np.ndarray = np.abs(difference) * np.array(spec.std)[:, None, None] / spec.scale
    return levels


def without(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return `fields` without some."""
    return {name: value for name, value in fields.items() if name not in names}
