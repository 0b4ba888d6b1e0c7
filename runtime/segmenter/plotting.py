"""What results are drawn by: an overlay on the picture that was segmented, whatever its values."""

from typing import Any

import numpy as np
import numpy.typing as npt

from segrt.runtime.draw.overlays import overlay
from segrt.runtime.errors import ImageError
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.channels import shown
from segrt.runtime.results import Result
from segrt.runtime.segmenter.given_pictures import no_array


def plot(image: npt.NDArray[Any], result: Result, **options: Any) -> Picture:
    """Return `segrt.runtime.draw.overlay` of a picture, or of an array of other values or bands made visible.

    Raises ImageError for what is no picture or has another size than the result.
    """
    if not isinstance(image, np.ndarray):
        raise no_array(image)
    if image.shape[:2] != result.size:
        raise ImageError(
            f"plot: image must be of the result's size, height {result.size[0]} and width {result.size[1]}, but has "
            f"shape {image.shape}"
        )
    return overlay(shown(image), result, **options)
