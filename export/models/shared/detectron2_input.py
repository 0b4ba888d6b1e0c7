"""detectron2's network input: the shorter side brought to the network's, the longer one follows, the rest is padded."""

import numpy as np
import numpy.typing as npt

from segrt.export.family import Request, Size
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.input_spec import Resize

# detectron2's pixel mean and deviation, over 255.
MEAN = (123.675 / 255, 116.28 / 255, 103.53 / 255)
STD = (58.395 / 255, 57.12 / 255, 57.375 / 255)


def kept_shape(request: Request) -> Resize:
    """Return the resize rule; what is left over is padded with the mean, below and to the right."""
    return request.kept_shape(antialias=True, pad=(124, 116, 104), pad_side="bottom_right", rounding="half_up")


def framework_pixels(picture: Picture, request: Request) -> npt.NDArray[np.float32]:
    """Return detectron2's input: PIL's bilinear resize of the RGB picture, normalised, zeros below and to the right."""
    from PIL import Image

    height, width = _shown_size((picture.shape[0], picture.shape[1]), request)
    image = Image.fromarray(np.ascontiguousarray(picture[..., ::-1]))
    shrunk = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.float32)
    pixels = np.zeros((3, *request.size), np.float32)
    pixels[:, :height, :width] = ((shrunk / 255 - MEAN) / STD).transpose(2, 0, 1)
    return pixels


def _shown_size(source: Size, request: Request) -> Size:
    """Return the size (h, w) of detectron2's `ResizeShortestEdge` for a picture of `source` (H, W)."""
    shortest, longest = request.size[::-1] if source[0] > source[1] else request.size
    shortest = request.shortest_edge or shortest
    scale = min(shortest / min(source), longest / max(source))
    return int(source[0] * scale + 0.5), int(source[1] * scale + 0.5)
