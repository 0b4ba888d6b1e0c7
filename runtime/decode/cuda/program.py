"""The work of a decode rule on the GPU: what is put behind the network, and what is made of it on the host."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.decode.head_spec import HEAD_FORMS
from segrt.runtime.decode.rule import Context, DecodeRule
from segrt.runtime.inference.cuda.device_array import DeviceArray
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Result

Heads = Mapping[str, DeviceArray]


class UnfitHeadsError(Exception):
    """Heads that a program cannot take, of whatever its kernels do not read: the CPU decodes them instead."""


class Program(ABC):
    """One rule with its thresholds, for heads at fixed addresses and pictures of one geometry.

    A subclass allocates all of its memory in `__init__`, so that a frame allocates nothing. Its `__init__` may raise
    UnfitHeadsError.
    """

    def __init__(self, heads: Heads, geometry: Geometry, context: Context, workspace: Workspace) -> None:
        self.heads, self.geometry, self.context, self.workspace = heads, geometry, context, workspace

    @classmethod
    def why_not_rule(cls, decode: DecodeRule) -> str | None:  # noqa: ARG003
        """Return which option of the rule the kernels do not have, or None; by default they have all."""
        return None

    @classmethod
    def why_not(cls, dtypes: Mapping[str, np.dtype[Any]]) -> str | None:
        """Return why the kernels cannot read heads of these `dtypes` (role → dtype), or None.

        By default they read what a bundle may have; a program that reads less says so.
        """
        for role, dtype in dtypes.items():
            _, known = HEAD_FORMS[role.rpartition(".")[2]]
            if dtype.name not in known:
                return f"head {role} is {dtype.name}, and the kernels read {' or '.join(known)}"
        return None

    @abstractmethod
    def enqueue(self) -> None:
        """Put the kernels into the stream.

        The same launches each time, and nothing waits, so that they can be recorded as a graph.
        """

    @abstractmethod
    def download(self) -> None:
        """Put the copy of what `result` reads to the host into the stream, behind the kernels."""

    @abstractmethod
    def result(self) -> Result:
        """Return the result of the frame after its work is done; it refers to nothing of the workspace."""
