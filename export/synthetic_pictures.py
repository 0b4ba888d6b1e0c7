"""Pictures made from a seed, for golden frames, comparisons and the statistics of random weights."""

import numpy as np

from segrt.runtime.files.images import Picture


def synthetic_picture(seed: int, size: tuple[int, int] = (192, 256)) -> Picture:
    """Return a picture of colour gradients, ellipses and noise, uint8 BGR (H, W, 3), the same for the same seed."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float64)
    picture = np.stack([rows * rng.uniform(-0.4, 0.4) + columns * rng.uniform(-0.4, 0.4) for _ in range(3)], axis=-1)
    picture += rng.uniform(90, 160, 3)
    for _ in range(8):
        top, left = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        inside = ((rows - top) / rng.uniform(10, 50)) ** 2 + ((columns - left) / rng.uniform(10, 50)) ** 2 < 1
        picture[inside] = rng.uniform(0, 255, 3)
    picture += rng.normal(0, 12, picture.shape)
    clipped: Picture = np.clip(picture, 0, 255).astype(np.uint8)
    return clipped
