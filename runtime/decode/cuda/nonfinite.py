"""NaN and infinity in heads on the GPU: what `segrt.runtime.decode.nonfinite` is to heads on the CPU."""

import ctypes
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segrt.runtime.decode.cuda.taps import Channels
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.inference.cuda.device_array import DeviceArray

_BLOCK = (32, 8, 1)
_MOST_BLOCKS = 1024
_NULL = ctypes.c_void_p()


@dataclass(frozen=True)
class NonfiniteCount:
    """Counts in a head (C, h, w), in the rows where `used` uint8 (h,) is not 0.

    `images` are the channels to look at, all by default; `count` int32 (1,) on the GPU says how many, where it is known
    only there.
    """

    workspace: Workspace
    head: DeviceArray
    used: DeviceArray
    found: DeviceArray  # int32 (1,): what is counted is added to it
    images: Channels | None = None
    count: DeviceArray | None = None

    @staticmethod
    def of(
        workspace: Workspace, head: DeviceArray, used: npt.NDArray[np.uint8], found: DeviceArray
    ) -> "NonfiniteCount":
        """Return the count in all channels."""
        return NonfiniteCount(workspace, head, workspace.upload(used), found)

    def enqueue(self) -> None:
        """Put the count into the stream."""
        channels, height, width = self.head.shape
        blocks = min(-(-channels * height // _BLOCK[1]), _MOST_BLOCKS)
        self.workspace.launch(
            "nonfinite", f"count_nonfinite_{number_of(self.head)}", (blocks, 1, 1), _BLOCK,
            self.head, self.images or Channels(), channels, self.count or _NULL, self.used, height, width, self.found,
        )  # fmt: skip


def number_of(head: DeviceArray) -> str:
    """Return what kernels for the head's dtype are called: "half" or "float"."""
    return "half" if head.dtype == np.float16 else "float"
