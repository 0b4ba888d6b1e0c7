"""Writes a network's weights as Keras lays them out in an HDF5 file, for tests without TensorFlow."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from segrt.export.weights.keras_weights import keras_arrays


def save_as_keras(
    network: Any, path: Path, *, nested: Mapping[str, Sequence[str]] | None = None, whole_model: bool = False
) -> dict[str, np.ndarray]:
    """Write the weights of `network` to `path` as `save_weights` does, with `whole_model` as `save`; return them.

    `nested` are models inside the network: name → layers. Layers without weights have groups, too.
    """
    arrays = {name: array.get() for name, array in keras_arrays(network).items()}
    model_of = {layer: model for model, layers in (nested or {}).items() for layer in layers}
    groups: dict[str, list[str]] = {"activation_1": []}
    for name in arrays:
        layer = name.rpartition("/")[0]
        groups.setdefault(model_of.get(layer, layer), []).append(name)
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole_model else file
        root.attrs["layer_names"] = [name.encode() for name in groups]
        root.attrs["backend"], root.attrs["keras_version"] = b"tensorflow", b"2.0.8"
        for group, names in groups.items():
            made = root.create_group(group)
            made.attrs["weight_names"] = [f"{name}:0".encode() for name in names]
            for name in names:
                made.create_dataset(f"{name}:0", data=arrays[name])
    return arrays
