"""Inputs of one, four or more channels, of bytes, 16-bit values and floats, against numpy, Pillow, OpenCV and torch."""

from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from PIL import Image

from segrt.runtime.errors import ImageError
from segrt.runtime.preprocess.channel_filling import resized
from segrt.runtime.preprocess.channels import as_channels, shown
from segrt.runtime.preprocess.input_spec import InputSpec, Resize, input_problems
from segrt.runtime.preprocess.picture import network_inputs

RNG = np.random.default_rng(0)
PICTURE = np.asarray(cv2.resize(RNG.integers(0, 256, (14, 20, 3), dtype=np.uint8), (75, 50)), np.uint8)  # BGR
SIZE = (32, 48)


def spec(channels: int, color: str, **options: Any) -> InputSpec:
    layout = options.pop("layout", "NCHW")
    shape = (1, *SIZE, channels) if layout == "NHWC" else (1, channels, *SIZE)
    options = {"dtype": "float32", **options}
    made = InputSpec("x", shape=shape, color=color, layout=layout, **options)  # type: ignore[arg-type]
    assert not list(input_problems(made))
    return made


def fed(image: Any, given: InputSpec) -> Any:
    arrays, _ = network_inputs([given], image)
    return arrays["x"][0] if given.layout == "NCHW" else arrays["x"][0].transpose(2, 0, 1)


def enlarged(image: Any) -> Any:
    """OpenCV's linear resizing in floats."""
    return cv2.resize(np.asarray(image, np.float32), SIZE[::-1], interpolation=cv2.INTER_LINEAR)


def test_grey_is_opencvs_or_pillows() -> None:
    opencv = cv2.cvtColor(PICTURE, cv2.COLOR_BGR2GRAY)
    pillow = np.asarray(Image.fromarray(PICTURE[..., ::-1]).convert("L"))
    red, green, blue = (PICTURE[..., channel].astype(np.int64) for channel in (2, 1, 0))
    np.testing.assert_array_equal(pillow, (red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16)
    assert (opencv != pillow).any()
    for rule, wanted in ((msgspec.UNSET, opencv), ("opencv", opencv), ("pillow", pillow)):
        given = spec(1, "grey", scale=1 / 255, mean=(0.5,), std=(0.25,), grey=rule)
        np.testing.assert_allclose(fed(PICTURE, given)[0], (enlarged(wanted) / 255 - 0.5) / 0.25, atol=1e-5)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
def test_grey_arrays_are_taken_as_they_are(layout: str, dtype: str) -> None:
    array = PICTURE[..., 1]
    wanted = (
        cv2.resize(array, SIZE[::-1], interpolation=cv2.INTER_LINEAR_EXACT) if dtype == "uint8" else enlarged(array)
    )
    for image in (array, array[..., None]):
        given = spec(1, "grey", layout=layout, dtype=dtype)
        np.testing.assert_allclose(fed(image, given)[0], wanted, atol=0.1 if dtype == "float16" else 1e-3)


def test_a_grey_picture_of_three_equal_channels_keeps_its_values() -> None:
    array = PICTURE[:32, :48, 1]
    for rule in ("opencv", "pillow"):
        given = spec(1, "grey", dtype="uint8", grey=rule)
        np.testing.assert_array_equal(fed(np.repeat(array[..., None], 3, axis=2), given)[0], array)


@pytest.mark.parametrize(("color", "order"), [("rgba", [2, 1, 0, 3]), ("bgra", [0, 1, 2, 3])])
def test_alpha_is_kept_or_opaque(color: str, order: list[int]) -> None:
    mean, std = (0.1, 0.2, 0.3, 0.4), (0.5, 0.6, 0.7, 0.8)
    given = spec(4, color, scale=1 / 255, mean=mean, std=std)
    alpha = RNG.integers(0, 256, PICTURE.shape[:2], dtype=np.uint8)
    for image, last in ((np.dstack([PICTURE, alpha]), alpha), (PICTURE, np.full_like(alpha, 255))):
        planes = np.dstack([PICTURE, last])[..., order]
        wanted = (enlarged(planes) / 255 - mean) / std
        np.testing.assert_allclose(fed(image, given), wanted.transpose(2, 0, 1), atol=1e-5)


@pytest.mark.parametrize("values", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [2, 5, 13])
@pytest.mark.parametrize("rule", ["stretch", "letterbox"])
def test_bands_have_statistics_and_padding_of_their_own(values: str, channels: int, rule: str) -> None:
    raw = RNG.uniform(0, 200 if values == "uint8" else 9000, (50, 60, channels)).astype(values)
    mean, std = tuple(0.1 * c for c in range(channels)), tuple(1 + 0.1 * c for c in range(channels))
    pad = tuple(range(1, channels + 1))
    given = spec(
        channels,
        "bands",
        values=values,
        scale=1e-3,
        mean=mean,
        std=std,
        resize=Resize(rule, pad=pad),  # type: ignore[arg-type]
    )
    wanted = np.empty((*SIZE, channels))
    wanted[...] = pad
    window = (slice(0, 32), slice(5, 43)) if rule == "letterbox" else (slice(0, 32), slice(0, 48))
    size = (window[1].stop - window[1].start, 32)
    for channel in range(channels):
        plane = np.ascontiguousarray(raw[..., channel]).astype(np.float32)
        wanted[(*window, channel)] = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(fed(raw, given), ((wanted * 1e-3 - mean) / std).transpose(2, 0, 1), atol=1e-4)


def test_linear_resizing_of_floats_is_torchs() -> None:
    torch = pytest.importorskip("torch")
    raw = RNG.normal(size=(20, 30, 6)).astype(np.float32)
    tensor = torch.from_numpy(raw.transpose(2, 0, 1))[None]
    wanted = torch.nn.functional.interpolate(tensor, SIZE, mode="bilinear", align_corners=False)[0].numpy()
    np.testing.assert_allclose(fed(raw, spec(6, "bands", values="float32")), wanted, atol=1e-5)


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("size", [(20, 31), (90, 64), (50, 20)])
def test_antialiased_bytes_and_floats_are_pillows(interpolation: str, size: tuple[int, int]) -> None:
    resize = Resize(interpolation=interpolation, antialias=True)  # type: ignore[arg-type]
    filter_ = Image.Resampling.BICUBIC if interpolation == "cubic" else Image.Resampling.BILINEAR
    raw = RNG.integers(0, 256, (50, 75, 5), dtype=np.uint8)
    ours = resized(raw, size, resize, rounded=False)
    assert ours.dtype == np.uint8
    for channel in range(5):
        wanted = np.asarray(Image.fromarray(np.ascontiguousarray(raw[..., channel])).resize(size[::-1], filter_))
        # Pillow 13 takes y first where that is cheaper, which moves a few values by a grey level or two.
        assert np.abs(ours[..., channel].astype(int) - wanted).max() <= 2
    floats = RNG.normal(size=(50, 75, 2)).astype(np.float32) * 1000
    for image in (floats, np.abs(floats).astype(np.uint16)):
        ours = resized(image, size, resize, rounded=False)
        for channel in range(2):
            plane = Image.fromarray(np.ascontiguousarray(image[..., channel]).astype(np.float32), "F")
            np.testing.assert_allclose(ours[..., channel], np.asarray(plane.resize(size[::-1], filter_)), atol=0.05)


def test_sixteen_bits_are_not_cut_to_eight() -> None:
    raw = RNG.integers(0, 65536, SIZE, dtype=np.uint16)
    given = spec(1, "grey", values="uint16", scale=1 / 65535)
    np.testing.assert_allclose(fed(raw, given)[0], raw / 65535, atol=1e-6)
    color = RNG.integers(0, 65536, (*SIZE, 3), dtype=np.uint16)
    np.testing.assert_allclose(fed(color, given)[0], cv2.cvtColor(color, cv2.COLOR_BGR2GRAY) / 65535, atol=1e-6)
    given = spec(3, "rgb", values="uint16", scale=1 / 65535)
    np.testing.assert_allclose(fed(color, given), color[..., ::-1].transpose(2, 0, 1) / 65535, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "image", "message"),
    [
        (
            spec(1, "grey", values="uint16"),
            PICTURE,
            r"must be uint16 grey \(H, W\) or BGR \(H, W, 3\) .* got uint8",
        ),
        (spec(1, "grey"), PICTURE.astype(np.float32), r"must be uint8 grey .* got float32 \(50, 75, 3\)"),
        (spec(1, "grey"), PICTURE[..., :2], r"must be uint8 grey .* got uint8 \(50, 75, 2\)"),
        (
            spec(4, "rgba"),
            PICTURE[..., 0],
            r"must be uint8 BGRA \(H, W, 4\) or BGR .* got uint8 \(50, 75\)",
        ),
        (
            spec(6, "bands", values="float32"),
            PICTURE,
            r"must be float32 \(H, W, 6\) for input 'x', but got uint8 \(",
        ),
        (spec(6, "bands"), PICTURE[:0], r"must be uint8 \(H, W, 6\)"),
        (spec(6, "bands"), "x.tif", "must be a numpy array, uint8 .* but got str"),
        (spec(3, "rgb", values="uint16"), PICTURE, r"must be uint16 BGR \(H, W, 3\)"),
    ],
)
def test_what_the_input_cannot_take_is_refused_in_one_line(given: InputSpec, image: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        network_inputs([given], image)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"color": "grey"}, "must have 1 channel of grey in layout NCHW"),
        ({"color": "rgb"}, "must have 3 channels in layout NCHW"),
        ({"color": "bgra"}, "must have 4 channels of bgra in layout NCHW"),
        ({"mean": (0.1, 0.2)}, r"mean of input 'x' must be 6 numbers, one a channel, but got \[0.1, 0.2\]"),
        ({"std": (1.0,) * 5 + (0.0,)}, "std of input 'x' must not be 0"),
        ({"resize": Resize(pad=(1, 2, 3))}, "pad of input 'x' must be 6 numbers"),
        ({"resize": Resize(pad=(256,) * 6)}, "resize.pad of input 'x' must be 0 to 255"),
        ({"grey": "pillow"}, "grey of input 'x' is for color grey, but got bands"),
        ({"dtype": "uint8", "values": "uint16"}, "is uint8, so its values must be uint8 too, but got uint16"),
    ],
)
def test_contradictions_of_an_input_are_named(change: dict[str, Any], message: str) -> None:
    import re

    problems = list(input_problems(msgspec.structs.replace(spec(6, "bands"), **change)))
    assert any(re.search(message, problem) for problem in problems), problems


def test_ordinary_inputs_are_written_as_ever() -> None:
    written = msgspec.json.decode(msgspec.json.encode(InputSpec("x", "uint8", (1, 8, 8, 3))))
    assert "values" not in written
    assert "grey" not in written
    grey = InputSpec("x", "uint8", (1, 8, 8, 1), color="grey", values="uint16", grey="pillow")
    assert msgspec.json.decode(msgspec.json.encode(grey), type=InputSpec) == grey


def test_what_is_drawn_on_is_a_picture() -> None:
    np.testing.assert_array_equal(shown(PICTURE), PICTURE)
    np.testing.assert_array_equal(shown(PICTURE[..., 0]), np.repeat(PICTURE[..., :1], 3, axis=2))
    np.testing.assert_array_equal(shown(np.dstack([PICTURE, PICTURE[..., 0]])), PICTURE)
    stretched = shown(np.float32([[[-1, 0, 5, 9, 9, 9]], [[1, 3, 0, 9, 9, 9]]]) * 1000)
    assert stretched.dtype == np.uint8
    assert (stretched.min(), stretched.max(), stretched.shape) == (0, 255, (2, 1, 3))


def test_channels_are_not_the_callers_memory_turned_around() -> None:
    image = np.dstack([PICTURE, PICTURE[..., 0]])
    before = image.copy()
    as_channels(image, spec(4, "rgba"))[...] = 0
    np.testing.assert_array_equal(image, before)
