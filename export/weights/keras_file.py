"""Weights that Keras saved as HDF5 (.h5), read with h5py: no TensorFlow, and no code of the file's own.

`save_weights("x.h5")` of Keras 1 and 2 writes a group for each layer, `save("x.h5")` the same under `model_weights`.
A group's attribute `weight_names` lists its arrays in order. Nested models ("rpn_model") are one group that holds the
arrays of several layers. Links, and arrays that lie in other files, are refused: a file of weights is one file.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
import numpy.typing as npt

from segrt.runtime.errors import SegrtError, one_line

_REMEDY = "give what Keras writes with model.save_weights('NAME.h5')"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_COUNTED = re.compile(r"_\d+$")


@dataclass(frozen=True)
class LayerArray:
    """One array of a layer: its shape, and its values (float32), which are read when they are asked for."""

    shape: tuple[int, ...]
    _dataset: Any

    def values(self) -> npt.NDArray[np.float32]:
        """Return the array; usable while the file is open."""
        return np.asarray(self._dataset[()], np.float32)


Layers = Mapping[str, LayerArray]


@contextmanager
def open_layers(path: Path) -> Iterator[Layers]:
    """Open the weights in `path`, "LAYER/kind" → array ("conv1/kernel", "bn_conv1/moving_mean").

    Raises SegrtError, in one line, for a file that is no HDF5, of Keras 3's own format, damaged, or without h5py.
    """
    try:
        import h5py
    except ImportError:
        raise SegrtError(f"{path}: needs h5py to be read; pip install 'segrt[keras]'") from None
    _check_kind(path)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise SegrtError(f"{path}: cannot be read as HDF5 ({one_line(error, 120)}); fetch it again") from None
    with file:
        try:
            layers = _layers(file, path, h5py)
        except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
            raise SegrtError(f"{path}: is damaged ({one_line(error, 120)}); fetch it again") from None
        yield layers


def _check_kind(path: Path) -> None:
    """Raise SegrtError unless `path` is an HDF5 file."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(_HDF5))
    except OSError as error:
        raise SegrtError(f"{path}: cannot be read ({error.strerror}); {_REMEDY}") from None
    if begin == _HDF5:
        return
    if is_zipfile(path):
        raise SegrtError(f"{path}: is a zip archive, as Keras 3's .keras; load it there and model.save('NAME.h5')")
    raise SegrtError(f"{path}: is no HDF5 file; {_REMEDY}")


def _layers(file: Any, path: Path, h5py: Any) -> Layers:
    root = file
    if "layer_names" not in root.attrs and root.get("model_weights", getlink=True) is not None:
        root = _member(root, "model_weights", path, h5py)
    if "layer_names" not in root.attrs:
        if "layers" in file or "_layer_checkpoint_dependencies" in file:
            raise SegrtError(
                f"{path}: is of Keras 3's own format, which does not name layers; load it there and "
                "model.save('NAME.h5')"
            )
        raise SegrtError(f"{path}: holds no layers of Keras; {_REMEDY}")
    found: dict[str, LayerArray] = {}
    for group in map(_text, root.attrs["layer_names"]):
        held = _member(root, group, path, h5py)
        names = [_text(name) for name in held.attrs["weight_names"]]
        inner = {_layer_of(name) for name in names}
        for name in names:
            # A layer that was made a second time in a session is saved under a counted name; its group is not.
            layer = group if len(inner) == 1 else _layer_of(name)
            kind = _COUNTED.sub("", name.rpartition("/")[2].partition(":")[0])
            found[f"{layer}/{kind}"] = _array(held, name, path, h5py)
    return found


def _layer_of(weight_name: str) -> str:
    """Return the layer's own name in "scope/layer/kernel:0"."""
    return weight_name.rpartition("/")[0].rpartition("/")[2]


def _array(group: Any, name: str, path: Path, h5py: Any) -> LayerArray:
    at = _member(group, name, path, h5py)
    if not isinstance(at, h5py.Dataset) or at.external or at.is_virtual or at.dtype.kind != "f":
        raise SegrtError(f"{path}: {group.name}/{name} is no array of floats in this file; fetch it again")
    return LayerArray(tuple(int(side) for side in at.shape), at)


def _member(group: Any, name: str, path: Path, h5py: Any) -> Any:
    """Return what lies below `group` under a name like "a/b", without following a link to elsewhere."""
    at = group
    for part in name.split("/"):
        if not isinstance(at, h5py.Group) or not isinstance(at.get(part, getlink=True), h5py.HardLink):
            where = f"{group.name}/{name}".replace("//", "/")
            raise SegrtError(f"{path}: {where} is missing or a link to elsewhere; fetch it again")
        at = at[part]
    return at


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
