"""How mmdetection brings a picture to SOLO: resized to fit, normalised, padded at the bottom right."""

import cv2
import numpy as np
import numpy.typing as npt

from segrt.export.family import Request
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.input_spec import Resize

_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_PAD = (124, 116, 104)  # the mean: about 0 after normalisation
_LEAST_SIDE = 64


def check_sides(request: Request) -> None:
    """Raise SegrtError for pictures that are too small for the coarsest map of the pyramid."""
    if min(request.size) < _LEAST_SIDE:
        raise SegrtError(
            f"--size {request.size[0]}x{request.size[1]}: both sides must be at least {_LEAST_SIDE} for "
            f"{request.model.name}"
        )


def kept_shape(request: Request) -> Resize:
    """Return the resize rule of mmcv's `imrescale`, padded with the mean as mmdetection pads normalised zeros."""
    return request.kept_shape(pad=_PAD, pad_side="bottom_right", rounding="half_up")


class FrameworkPixels:
    """mmdetection's test pipeline: mmcv's imrescale (OpenCV's linear), normalised, padded with zeros."""

    def __init__(self, request: Request) -> None:
        self._size, self._shortest = request.size, request.shortest_edge

    def __call__(self, picture: Picture) -> npt.NDArray[np.float32]:
        """Return the network input (3, h, w) that mmdetection makes of `picture`, uint8 BGR (H, W, 3)."""
        scale = min(self._size[0] / picture.shape[0], self._size[1] / picture.shape[1])
        if self._shortest is not None:
            scale = min(scale, self._shortest / min(picture.shape[:2]))
        height, width = (int(side * scale + 0.5) for side in picture.shape[:2])
        resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)[..., ::-1]
        canvas = np.zeros((3, *self._size), np.float32)
        canvas[:, :height, :width] = ((resized - np.array(_MEAN)) / np.array(_STD)).transpose(2, 0, 1)
        return canvas
