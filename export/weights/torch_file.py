"""Reads files of torch.save: mapped, not copied, and without running the code that a pickle can name.

A .pt or .pth is a pickle, and a pickle can have any function called when it is read. torch's own safe way
(`weights_only=True`) rebuilds tensors and plain containers alone; what names anything else is refused here in one
line, with the way to a file of tensors.
"""

import argparse
import pickle
import re
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import torch

from segrt.runtime.errors import SegrtError

# What torch says of a name that it does not let in; its own advice, weights_only=False, is the danger itself.
_NAMED = re.compile(r"GLOBAL (\S+) (?:was not an allowed global|whose module \S+ is blocked)")
_SAFE_WAY = (
    "only if you trust who made it, write its tensors alone where its code is installed: "
    "torch.save(torch.load(FILE, weights_only=False)['model'].state_dict(), 'weights.pth'), and give that file"
)


def read_torch_file(path: Path) -> Any:
    """Return what torch.save wrote to `path`, tensors on the CPU and mapped from the file where its format allows it.

    Raises SegrtError for a file that names code or is a TorchScript program; errors of torch, pickle and the system for
    one that is damaged or of another kind.
    """
    is_zip = is_zipfile(path)
    if is_zip and _is_torchscript(path):
        raise SegrtError(
            f"{path}: is a TorchScript program, which is code; give the network's state dict: "
            "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth')"
        )
    try:
        # Training scripts keep their arguments beside the weights; a Namespace is a bag of values, no code.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True if is_zip else None)
    except pickle.UnpicklingError as error:
        named = _NAMED.search(str(error))
        if named is None:
            raise
        raise SegrtError(
            f"{path}: names {named[1]}, code that reading it would run, so it was not read; {_SAFE_WAY}"
        ) from None


def _is_torchscript(path: Path) -> bool:
    """Whether a zip file holds compiled code, as torch.jit.save writes it."""
    try:
        with ZipFile(path) as file:
            return any(name.partition("/")[2] == "constants.pkl" for name in file.namelist())
    except (BadZipFile, OSError):
        return False
