"""Reads checkpoints that are pickles of numpy arrays by name (detectron2's .pkl), with nothing else let in.

A pickle can have any function called when it is read. This reader knows only what rebuilds numpy arrays and plain
containers, and refuses a file that names anything else.
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch


def read_numpy_pickle(path: Path) -> Any:
    """Return what the pickle at `path` holds, arrays as tensors; raise UnpicklingError for one that names others."""
    with path.open("rb") as file:
        return _as_tensors(_Reader(file, encoding="latin1").load())


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # renamed with numpy 2
            module = "numpy multiarray"
        known = _known().get((module, name))
        if known is None:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no array")
        return known


def _known() -> dict[tuple[str, str], Any]:
    try:
        from numpy._core import multiarray
    except ImportError:
        from numpy.core import multiarray  # type: ignore[no-redef]
    return {
        ("numpy multiarray", "_reconstruct"): multiarray._reconstruct,
        ("numpy multiarray", "scalar"): multiarray.scalar,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _encode,
        ("collections", "OrderedDict"): OrderedDict,
    }


def _encode(text: str, encoding: str) -> bytes:
    """Undo how pickle writes bytes in its older protocols."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"it encodes bytes as {encoding!r}, which is no array")
    return text.encode("latin1")


def _as_tensors(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _as_tensors(value) for name, value in content.items()}
    if isinstance(content, np.ndarray) and content.dtype.kind in "fiub":
        return torch.from_numpy(np.array(content))
    return content
