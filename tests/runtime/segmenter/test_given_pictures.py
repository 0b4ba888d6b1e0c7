"""A segmenter takes a picture in every usual form, gives the same result for each, and says what it does not take."""

import io
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from segrt.runtime import PanopticSegmenter, SemanticResult, SemanticSegmenter, open_bundle
from segrt.runtime.errors import BackendError, BundleError, ImageError
from segrt.runtime.files.images import read_image
from segrt.runtime.preprocess.input_spec import InputSpec
from segrt.runtime.results import PanopticResult, Result
from segrt.runtime.segmenter.given_pictures import given_picture

PICTURE = np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)
INPUTS = (InputSpec("image", "uint8", (1, 32, 48, 3)),)


@pytest.fixture(name="file")
def picture_file(tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "picture.png"), PICTURE)
    return tmp_path / "picture.png"


def test_every_form_of_a_picture_is_the_same_picture(file: Path) -> None:
    rgb = np.ascontiguousarray(PICTURE[..., ::-1])
    forms = [
        PICTURE,
        np.dstack([PICTURE, PICTURE[..., 0]]),  # BGRA
        str(file),
        file,
        file.read_bytes(),
        bytearray(file.read_bytes()),
        memoryview(file.read_bytes()),
        Image.fromarray(rgb),
        Image.fromarray(np.dstack([rgb, rgb[..., 0]])),
    ]
    for form in forms:
        np.testing.assert_array_equal(given_picture(form, INPUTS), PICTURE)
    np.testing.assert_array_equal(given_picture(rgb, INPUTS, rgb=True), PICTURE)
    np.testing.assert_array_equal(given_picture(np.dstack([rgb, rgb[..., 0]]), INPUTS, rgb=True), PICTURE)
    assert given_picture(PICTURE, INPUTS) is PICTURE, "the usual array is not copied"


def test_grey_gets_three_equal_channels() -> None:
    grey = PICTURE[..., 1]
    expected = np.repeat(grey[..., None], 3, axis=2)
    wide = grey.astype(np.uint16) << 8 | 77
    for form in (grey, grey[..., None], Image.fromarray(grey), Image.fromarray(wide)):
        np.testing.assert_array_equal(given_picture(form, INPUTS), expected)
        if isinstance(form, np.ndarray):
            np.testing.assert_array_equal(given_picture(form, INPUTS, rgb=True), expected)


def test_an_image_of_pillow_is_turned_upright_as_its_file_is(tmp_path: Path) -> None:
    image, exif = Image.fromarray(PICTURE[..., ::-1]), Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    image.save(tmp_path / "turned.png", exif=exif)
    upright = given_picture(Image.open(tmp_path / "turned.png"), INPUTS)
    assert upright.shape == (30, 20, 3)
    np.testing.assert_array_equal(upright, read_image(tmp_path / "turned.png"))


def tensor(*shape: int, dtype: str = "torch.float32") -> object:
    made = type("Tensor", (), {"shape": shape, "dtype": dtype, "__module__": "torch"})
    return made()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "image is None, which cv2.imread returns for a file that it cannot read; give the path itself"),
        (
            tensor(3, 4, 5),
            r"must not be of type torch.Tensor; give tensor.permute\(1, 2, 0\).mul\(255\).round\(\).byte\(\).cpu",
        ),
        (tensor(4, 5, 3, dtype="torch.uint8"), r"give tensor.byte\(\).cpu\(\).numpy\(\), with rgb=True"),
        (tensor(1, 3, 4, 5), r"each converted, for its shape is \(1, 3, 4, 5\)"),
        (7, "image must not be of type int; give a numpy array .* or a list of these"),
        ({"image": PICTURE}, "image must not be of type dict"),
        (
            PICTURE[None],
            r"but got uint8 \(1, 20, 30, 3\); give a list of pictures for several: segmenter\(list\(images",
        ),
        (PICTURE.transpose(2, 0, 1), r"channels come last: give image.transpose\(1, 2, 0\)"),
        (PICTURE / 255, r"but got float64 \(20, 30, 3\); give \(image \* 255\)"),
        (PICTURE.astype(np.uint16), "give .image >> 8"),
        (PICTURE[:0], "at least one pixel"),
        (PICTURE[..., :2], "but got uint8"),
        (b"", "the given bytes: is empty"),
        (b"no picture at all", "the given bytes: is no picture"),
        ("rtsp://user:secret@camera/stream", r"rtsp://.*@?camera/stream: is no file; `segmenter.stream\(address\)`"),
        ("missing.jpg", "missing.jpg: cannot be read"),
        (Image.new("F", (4, 4)), "mode 'F', whose range is not known"),
    ],
)
def test_the_rest_is_refused_with_the_way_out(given: object, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        given_picture(given, INPUTS)  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_network_of_other_values_takes_arrays_and_says_so() -> None:
    wide = (InputSpec("image", "float32", (1, 8, 8, 2), color="bands", values="uint16"),)
    bands = np.zeros((8, 8, 2), np.uint16)
    assert given_picture(bands, wide) is bands
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, "PNG")
    with pytest.raises(ImageError, match="must not be bytes for input 'image', which takes uint16"):
        given_picture(buffer.getvalue(), wide)
    with pytest.raises(ImageError, match=r"must not be a PIL\.Image"):
        given_picture(Image.fromarray(PICTURE), wide)
    with pytest.raises(ImageError, match=r"rgb=True: .* no order of colours"):
        given_picture(bands, wide, rgb=True)


def test_a_list_gives_a_list_in_batches_of_what_the_bundle_was_opened_with(
    tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [tiny.thirds(32 + 7 * turn, 48 + turn) for turn in range(5)]
    folder = tiny.batched_semantic()
    with open_bundle(folder, threads=1) as single:
        expected = [single(picture) for picture in pictures]
        assert single([]) == []
    with open_bundle(folder, threads=1, batch=2) as segmenter:
        executed: list[object] = []
        execute = segmenter.backend.execute
        monkeypatch.setattr(segmenter.backend, "execute", lambda slot: executed.append(slot) or execute(slot))
        found = segmenter(tuple(pictures))
        assert len(executed) == 3
        with pytest.raises(ImageError, match="image is None"):
            segmenter([pictures[0], None])
        again = segmenter(pictures)  # the slot of the refused batch came back
    for some in (found, again):
        assert isinstance(some, list)
        for one, other, picture in zip(some, expected, pictures, strict=True):
            assert isinstance(one, SemanticResult)
            assert isinstance(other, SemanticResult)
            np.testing.assert_array_equal(one.class_map, other.class_map)
            assert one.image is picture
            assert one.timings is not None
            assert one.timings.inference_ms > 0


def test_the_technique_is_the_segmenters_type_and_another_is_refused(tiny: SimpleNamespace) -> None:
    with open_bundle(tiny.bundle("argmax"), technique="semantic") as segmenter:
        assert type(segmenter) is SemanticSegmenter
        assert repr(segmenter) == "<SemanticSegmenter 'tiny-argmax', fp32 on onnxruntime cpu>"
    with pytest.raises(BundleError, match="technique must be 'panoptic', but its is 'semantic'; open another"):
        open_bundle(tiny.bundle("argmax", out="again"), technique="panoptic")
    with open_bundle(tiny.bundle("merge_queries")) as opened:
        assert type(opened) is PanopticSegmenter


def test_threads_share_a_segmenter_and_results_outlive_it(tiny: SimpleNamespace) -> None:
    pictures = [np.roll(tiny.thirds(40, 60), 20 * turn, axis=1) for turn in range(3)]
    with open_bundle(tiny.bundle("merge_queries"), threads=1) as segmenter:
        expected = [segmenter(picture) for picture in pictures]
        barrier = threading.Barrier(4)

        def work(number: int) -> list[Result]:
            barrier.wait(timeout=30)
            return [segmenter(pictures[(number + turn) % 3]) for turn in range(30)]

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(work, range(4)))
        with pytest.raises(TypeError, match="cannot be copied or pickled; open the bundle again"):
            copy(segmenter)
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            pickle.dumps(segmenter)
    for number, results in enumerate(found):
        for turn, result in enumerate(results):
            other = expected[(number + turn) % 3]
            assert isinstance(result, PanopticResult)
            assert isinstance(other, PanopticResult)
            np.testing.assert_array_equal(result.segment_ids, other.segment_ids)
            assert result.segments == other.segments
    with pytest.raises(BackendError, match="closed"):
        segmenter(pictures[0])


def test_camera_numbers_are_devices(tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("segrt.runtime.stream.stream", lambda *arguments, **_: iter(asked.append(arguments[1]) or ()))
    with open_bundle(tiny.bundle("argmax"), threads=1) as segmenter:
        assert list(segmenter.stream(0)) == []
    assert asked == ["v4l2:///dev/video0"]


def test_streamed_results_know_their_frames(tiny: SimpleNamespace, file: Path) -> None:
    with open_bundle(tiny.bundle("argmax"), threads=1) as segmenter:
        ((frame, result),) = segmenter.stream(file)
    assert result.image is frame.image
    assert result.plot().shape == (20, 30, 3)


def test_what_pillow_has_only_begun_to_read_is_named_where_it_is_cut_off(tiny: SimpleNamespace, tmp_path: Path) -> None:
    Image.effect_noise((90, 60), 50).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:2000])
    with open_bundle(tiny.bundle("argmax"), threads=1) as segmenter:
        cut = r"cut\.png: is a PIL\.Image that cannot be read \(.*\); open it again"
        with Image.open(tmp_path / "cut.png") as begun, pytest.raises(ImageError, match=cut):
            segmenter(begun)
        grey = Image.new("LA", (9, 9), (70, 255))
        assert np.array_equal(segmenter(grey.convert("La")).image, segmenter(grey).image)


def test_plot_says_what_it_takes_alone(tiny: SimpleNamespace, file: Path) -> None:
    with open_bundle(tiny.bundle("argmax"), threads=1) as segmenter:
        result = segmenter(file)
    for given, kind in ((str(file), "str"), (Image.new("RGB", (9, 9)), "PIL.Image"), (file.read_bytes(), "bytes")):
        with pytest.raises(ImageError, match=rf"plot: image must not be of type {kind}; give an array, .* or nothing"):
            result.plot(given)  # type: ignore[arg-type]
