"""The class of the highest logit at every pixel: argmax.cpp of the core on the GPU, processed size included."""

import numpy as np
import numpy.typing as npt

from segrt.runtime.decode.cuda.label_kernels import BLOCK, label_grid, label_map
from segrt.runtime.decode.cuda.nonfinite import number_of
from segrt.runtime.decode.cuda.taps import Window, bilinear_taps, enlarged_part, rows_used, upload_target
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.inference.cuda.device_array import DeviceArray


class PixelClasses:
    """Writes `classes`, uint8 or uint16 (H, W), of `logits` (C, h, w), of which the target shows `window`.

    With a `processed` size (h, w) the logits are enlarged to it first. `used_rows` uint8 (h,) is 1 for the rows of the
    logits whose values the core counts where they are not finite.
    """

    def __init__(
        self,
        workspace: Workspace,
        logits: DeviceArray,
        window: Window,
        processed: tuple[int, int] | None,
        classes: DeviceArray,
    ) -> None:
        self._workspace, self._logits, self._classes = workspace, logits, classes
        _, height, width = logits.shape
        target_height, target_width = self._size = (classes.shape[0], classes.shape[1])
        self._first: tuple[DeviceArray, ...] = ()
        self.used_rows: npt.NDArray[np.uint8]
        is_once = window == (0.0, 0.0, float(height), float(width)) and processed == self._size
        if processed is None or is_once:
            rows = bilinear_taps(height, (window[0], window[2]), target_height)
            columns = bilinear_taps(width, (window[1], window[3]), target_width)
            self.used_rows = rows_used(rows, height)
        else:
            part = enlarged_part((height, width), window, processed)
            top, left, bottom, right = part.window
            rows = bilinear_taps(len(part.rows), (top, bottom), target_height)
            columns = bilinear_taps(len(part.columns), (left, right), target_width)
            self._first = workspace.upload(part.rows), workspace.upload(part.columns)
            self.used_rows = np.zeros(height, np.uint8)
            self.used_rows[part.rows["low"][0] : part.rows["high"][-1] + 1] = 1
        self._target = upload_target(workspace, rows, columns)

    def enqueue(self) -> None:
        """Put the kernel into the stream."""
        file = "argmax_enlarged" if self._first else "argmax"
        self._workspace.launch(
            file, f"{file}_{number_of(self._logits)}", label_grid(self._size), BLOCK,
            self._logits, *self._logits.shape, *self._first, self._target, label_map(self._classes),
        )  # fmt: skip
