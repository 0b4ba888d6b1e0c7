"""What the network is fed, against plain numpy, OpenCV and Pillow."""

import hashlib

import cv2
import numpy as np
import pytest

from segrt.runtime import postproc
from segrt.runtime.preprocess.input_spec import InputSpec, Resize
from segrt.runtime.preprocess.picture import fill_inputs, network_inputs, resize_picture

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (height // 4 + 2, width // 4 + 2, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))


def expected(
    image: np.ndarray, spec: InputSpec, size: tuple[int, int], window: tuple[int, int, int, int]
) -> np.ndarray:
    """The input made step by step: resize, pad, channel order, normalise, layout."""
    top, left, bottom, right = window
    canvas = np.empty((*size, 3), np.float64)
    canvas[...] = spec.resize.pad
    resized = cv2.resize(image.astype(np.float64), (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    canvas[top:bottom, left:right] = resized[..., ::-1] if spec.color == "rgb" else resized
    canvas = (canvas * spec.scale - spec.mean) / spec.std
    return canvas.transpose(2, 0, 1)[None] if spec.layout == "NCHW" else canvas[None]


@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
@pytest.mark.parametrize("rule", ["stretch", "letterbox"])
def test_layout_colour_and_dtype_against_numpy(color: str, layout: str, dtype: str, rule: str) -> None:
    image, size = noise(50, 90), (40, 60)
    shape = (1, *size, 3) if layout == "NHWC" else (1, 3, *size)
    values = {} if dtype == "uint8" else {"scale": 1 / 255, "mean": MEAN, "std": STD}
    resize = Resize(rule, pad=(10, 20, 30))  # type: ignore[arg-type]
    spec = InputSpec("x", dtype, shape, layout=layout, color=color, resize=resize, **values)  # type: ignore[arg-type]
    arrays, geometry = network_inputs([spec], image)
    window = (3, 0, 36, 60) if rule == "letterbox" else (0, 0, 40, 60)
    assert geometry.window == window
    assert arrays["x"].dtype == np.dtype(dtype)
    # OpenCV's 8-bit resizing has 11 bits of weights, so that it may be one grey level off.
    grey_level = 1.01 if dtype == "uint8" else 0.02 if dtype == "float16" else 1e-3
    np.testing.assert_allclose(arrays["x"].astype(np.float64), expected(image, spec, size, window), atol=grey_level)


@pytest.mark.parametrize("size", [(427, 640), (480, 640), (1080, 1920), (359, 640)])
def test_floor_rounds_as_torchs_interpolate_with_a_scale_factor(size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    network = (800, 1333)
    resize = Resize("letterbox", pad_side="bottom_right", rounding="floor")
    _, geometry = network_inputs([InputSpec("x", "uint8", (1, *network, 3), resize=resize)], noise(*size))
    scale = min(800 / min(size), 1333 / max(size))
    like = torch.empty(1, 1, *size)
    expected = torch.nn.functional.interpolate(like, scale_factor=scale, recompute_scale_factor=True).shape[2:]
    assert geometry.window == (0, 0, *expected)


def test_uint8_input_of_the_networks_size_is_the_picture_itself() -> None:
    image = noise(32, 48)
    arrays, _ = network_inputs([InputSpec("x", "uint8", (1, 32, 48, 3))], image)
    np.testing.assert_array_equal(arrays["x"][0], image[..., ::-1])


def test_a_place_in_a_batch_leaves_the_others_alone() -> None:
    spec = InputSpec("x", "uint8", ("N", 8, 8, 3))
    batch = np.full((3, 8, 8, 3), 7, np.uint8)
    fill_inputs(np.full((20, 20, 3), 99, np.uint8), [spec], {"x": batch}, index=1)
    assert batch[:, 0, 0, 0].tolist() == [7, 99, 7]


def test_the_valid_mask_is_one_where_the_picture_is() -> None:
    resize = Resize("letterbox", pad_side="bottom_right")
    specs = [
        InputSpec("x", "uint8", (1, 10, 20, 3), resize=resize),
        InputSpec("mask", "int64", (1, 10, 20), role="valid_mask"),
    ]
    arrays, _ = network_inputs(specs, noise(30, 30))
    truth = np.zeros((1, 10, 20), np.int64)
    truth[:, :, :10] = 1
    np.testing.assert_array_equal(arrays["mask"], truth)


@pytest.mark.parametrize(
    ("interpolation", "flag"),
    [("nearest", cv2.INTER_NEAREST_EXACT), ("cubic", cv2.INTER_CUBIC), ("area", cv2.INTER_AREA)],
)
def test_interpolation_is_what_the_manifest_says(interpolation: str, flag: int) -> None:
    image = noise(50, 90)
    spec = InputSpec("x", "uint8", (1, 20, 30, 3), color="bgr", resize=Resize(interpolation=interpolation))  # type: ignore[arg-type]
    arrays, _ = network_inputs([spec], image)
    np.testing.assert_array_equal(arrays["x"][0], cv2.resize(image, (30, 20), interpolation=flag))


def test_antialiasing_matters_and_is_used() -> None:
    image = noise(200, 200)
    plain, _ = network_inputs([InputSpec("x", "uint8", (1, 20, 20, 3), color="bgr")], image)
    smooth, _ = network_inputs(
        [InputSpec("x", "uint8", (1, 20, 20, 3), color="bgr", resize=Resize(antialias=True))], image
    )
    np.testing.assert_array_equal(smooth["x"][0], postproc.resize_antialias(image, (20, 20)))
    assert np.abs(plain["x"].astype(int) - smooth["x"]).max() > 10


def test_linear_resizing_of_bytes_gives_the_same_bytes_on_every_machine() -> None:
    image = np.random.default_rng(3).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    resized = resize_picture(image, (40, 60), Resize())
    exact = cv2.resize(image.astype(np.float64), (60, 40), interpolation=cv2.INTER_LINEAR)
    assert np.abs(resized - exact).max() <= 0.8
    # What x86-64 and aarch64 give; cv2.INTER_LINEAR gives different bytes on the two.
    digest = hashlib.sha256(resized.tobytes()).hexdigest()
    assert digest == "25fae26115b0104860ba29ca034ff7d3a4fca286a2b004be914ff9c2837fad5b"


def test_an_input_of_one_pixel_takes_its_colour_in_every_layout() -> None:
    image = np.array([[[1, 2, 3]]], np.uint8)
    for layout, shape in (("NHWC", (1, 1, 1, 3)), ("NCHW", (1, 3, 1, 1))):
        arrays, _ = network_inputs([InputSpec("x", "uint8", shape, layout=layout)], image)  # type: ignore[arg-type]
        assert arrays["x"].ravel().tolist() == [3, 2, 1]
