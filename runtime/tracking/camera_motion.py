"""The camera's own motion, from corners of the background that optical flow follows from frame to frame."""

from typing import Any

import numpy as np
import numpy.typing as npt

_WIDTH = 480  # pixels to which pictures are reduced before corners are looked for
_CORNERS = 200
_FEWEST = 12  # corners that make a motion believable


class CameraMotion:
    """Finds the turn, scale and shift between pictures that follow each other, by OpenCV's sparse flow and RANSAC."""

    def __init__(self) -> None:
        self._last: npt.NDArray[np.uint8] | None = None
        self._corners: npt.NDArray[np.float32] | None = None

    def forget(self) -> None:
        """Take the next picture for the first."""
        self._last = self._corners = None

    def since_last(self, image: npt.NDArray[Any], boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
        """Return the affine map (2, 3) from points of the last picture to those of `image`, in its pixels.

        `image` is uint8 BGR (H, W, 3); corners within the things' `boxes` (N, 4) are left out of the next comparison.
        None where there is no last picture or too little to see.
        """
        import cv2

        scale = min(1.0, _WIDTH / image.shape[1])
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        grey = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
        affine = self._between(np.asarray(grey, np.uint8))
        background = np.full(grey.shape, 255, np.uint8)
        for x0, y0, x1, y1 in (boxes * scale).astype(int).tolist():
            background[max(0, y0) : y1 + 1, max(0, x0) : x1 + 1] = 0
        self._last = np.asarray(grey, np.uint8)
        corners = cv2.goodFeaturesToTrack(grey, _CORNERS, 0.01, 8, mask=background)
        self._corners = None if corners is None else np.asarray(corners, np.float32)
        if affine is not None:
            affine[:, 2] /= scale
        return affine

    def _between(self, grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64] | None:
        import cv2

        if self._last is None or self._corners is None or self._last.shape != grey.shape:
            return None
        moved, found, _ = cv2.calcOpticalFlowPyrLK(self._last, grey, self._corners, None)  # type: ignore[call-overload]
        kept = found.ravel() == 1
        if kept.sum() < _FEWEST:
            return None
        affine, inliers = cv2.estimateAffinePartial2D(self._corners[kept], moved[kept], ransacReprojThreshold=2.0)
        if affine is None or int(inliers.sum()) < _FEWEST:
            return None
        return np.asarray(affine, np.float64)
