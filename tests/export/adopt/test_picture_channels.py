"""Networks of grey pictures, alpha, 16-bit values and bands: adopted, run on files and on video, equal to torch."""

import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from foreign_networks import SUMMED as SIZE
from foreign_networks import Adopt, summing
from onnx import TensorProto

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.export.adopt.picture_channels import guess_layout
from segrt.export.synthetic_pictures import synthetic_picture
from segrt.runtime import open_bundle
from segrt.runtime.authoring.verification import verify
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.cli.eval import evaluate
from segrt.runtime.cli.pack import pack
from segrt.runtime.cli.run import run
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import write_image
from segrt.runtime.inference.tensors import TensorSpec

RNG = np.random.default_rng(5)


@pytest.fixture
def two(tmp_path: Path) -> str:
    path = tmp_path / "two.txt"
    path.write_text("dark\nbright\n")
    return str(path)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((1, 1, 64, 64), "NCHW"),
        ((1, 64, 64, 1), "NHWC"),
        ((1, 12, 224, 224), "NCHW"),
        ((1, 64, 48, 200), None),
        ((1, 5, 5, 5), None),
        ((1, 1, "h", "w"), "NCHW"),
        (("n", "h", "w", 4), "NHWC"),
        ((1, "c", 64, 64), "NCHW"),
        ((1, 3, 64, 4), "NCHW"),
        ((1, "a", "b", "c"), None),
    ],
)
def test_channels_are_where_there_are_few(shape: Any, layout: str | None) -> None:
    spec = TensorSpec("x", "float32", shape)
    if layout is None:
        with pytest.raises(SegrtError, match="the channels are not to be told from its shape; add --layout"):
            guess_layout(spec, None)
    else:
        assert guess_layout(spec, None) == layout


def bright(folder: Path, image: Any) -> Any:
    with open_bundle(folder, threads=1) as segmenter:
        assert all(check.passed for check in verify(segmenter))
        return segmenter(image).class_map == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("layout", [None, "NCHW"])
def test_a_grey_network_sees_grey(adopt: Adopt, two: str, layout: str | None) -> None:
    options = {"scale": 1 / 255, "mean": (0.5,), "labels": two, "layout": layout}
    folder, said = adopt(summing(1), "semantic", **options)
    assert said[0] == "input 'x': float32 NCHW 32×48, grey"
    picture = synthetic_picture(3, SIZE)
    wanted = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) > 127.5
    assert np.array_equal(bright(folder, picture), wanted)
    assert np.array_equal(bright(folder, cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)), wanted)
    assert read_bundle(folder).manifest.required_features == ("channels",)


def test_channels_last_bytes_and_pillows_grey(adopt: Adopt, two: str) -> None:
    model = summing(1, dims=(1, *SIZE, 1), dtype=TensorProto.UINT8)
    folder, said = adopt(model, "semantic", labels=two, grey="pillow")
    assert said[0] == "input 'x': uint8 NHWC 32×48, grey by pillow's rule"
    manifest = read_bundle(folder).manifest
    assert (manifest.image_input.shape, manifest.image_input.grey) == ((1, *SIZE, 1), "pillow")


def test_the_cases_of_the_field_are_taken(fixtures: Path, tmp_path: Path) -> None:
    folder = fixtures / "field" / "grey"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    for layout in (None, "NCHW"):
        options = AdoptOptions("semantic", str(folder / "two.txt"), layout=layout, overwrite=True)
        adopt_network(folder / "grey.onnx", tmp_path / "out", options)
    with open_bundle(tmp_path / "out", threads=1) as segmenter:
        assert (segmenter(np.full((9, 9, 3), 90, np.uint8)).class_map == 0).all()  # type: ignore[union-attr]


# model, options, what is said; then the options that the remedy names.
REFUSALS: dict[str, tuple[Any, dict[str, Any], str, dict[str, Any]]] = {
    "four channels": (
        summing(4),
        {},
        "colours with alpha or bands; add --color rgba, bgra or bands",
        {"color": "rgba"},
    ),
    "four bands": (
        summing(4),
        {"color": "bands"},
        "takes 4 bands; say what values their files hold, --values uint8, uint16 or float32",
        {"values": "float32"},
    ),
    "another order": (
        summing(1),
        {"color": "rgb"},
        "--color rgb: input .* has 1 channels in layout NCHW; name another order",
        {"color": "grey"},
    ),
    "means of another number": (
        summing(1),
        {"mean": (1.0, 2.0, 3.0)},
        "--mean 1,2,3: input 'x' has 1 channels; give one number or as many",
        {"mean": (1.0,)},
    ),
    "grey of colours": (
        summing(3),
        {"grey": "pillow"},
        "--grey pillow: input .* is rgb; leave it out",
        {"grey": None},
    ),
    "16 bits in bytes": (
        summing(1, dtype=TensorProto.UINT8),
        {"values": "uint16"},
        "--values uint16: input .* takes bytes; leave it out",
        {"values": None},
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_the_remedy_of_a_refusal_works(adopt: Adopt, two: str, case: str) -> None:
    model, given, message, remedy = REFUSALS[case]
    with pytest.raises(SegrtError, match=message):
        adopt(model, "semantic", labels=two, **given)
    adopt(model, "semantic", labels=two, **{**given, **remedy})


def test_alpha_reaches_the_network_from_a_file(adopt: Adopt, two: str, tmp_path: Path) -> None:
    mean = (0.0, 0.0, 0.0, 127.5)
    folder, said = adopt(summing(4), "semantic", labels=two, color="bgra", scale=1.0, mean=mean)
    assert said[0].endswith("bgra")
    picture = np.zeros((*SIZE, 4), np.uint8)
    picture[:, 24:, 3] = 255
    cv2.imwrite(str(tmp_path / "half.png"), picture)
    done = CliRunner().invoke(
        run, [str(folder), str(tmp_path / "half.png"), "--out", str(tmp_path / "o"), "--save", "labels,overlay"]
    )
    assert done.exception is None
    labels = cv2.imread(str(tmp_path / "o" / "labels" / "half.png"), cv2.IMREAD_UNCHANGED)
    assert (labels == (picture[..., 3] > 0)).all()
    assert bright(folder, picture[..., :3]).all()  # opaque


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
@pytest.mark.parametrize("values", ["uint8", "uint16", "float32"])
def test_bands_come_from_arrays_and_tiffs(adopt: Adopt, two: str, tmp_path: Path, values: str, suffix: str) -> None:
    top = {"uint8": 255, "uint16": 65_535, "float32": 1.0}[values]
    folder, said = adopt(summing(6), "semantic", labels=two, values=values, scale=1.0, mean=(top / 2,))
    assert said[0].endswith("6 bands" if values == "uint8" else f"6 bands of {values}")
    frame = read_bundle(folder).manifest.golden[0]
    assert frame.image.path == "golden/synthetic-1.npy"
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    raw = (RNG.random((*SIZE, 6)) * top).astype(values)
    path = pictures / f"scene{suffix}"
    if suffix == ".npy":
        np.save(path, raw)
    else:
        cv2.imwritemulti(str(path), [np.ascontiguousarray(band) for band in np.moveaxis(raw, 2, 0)])
    out = tmp_path / "o"
    done = CliRunner().invoke(run, [str(folder), str(pictures), "--out", str(out), "--save", "labels,overlay"])
    assert done.exception is None, done.exception
    labels = cv2.imread(str(out / "labels" / "scene.png"), cv2.IMREAD_UNCHANGED)
    wanted = raw.astype(np.float64).mean(axis=2) > top / 2
    assert (labels == wanted).mean() > 0.999
    assert cv2.imread(str(out / "overlay" / "scene.png")).shape == (*SIZE, 3)
    # The figures of `segrt eval` are of the same arrays.
    truth = tmp_path / "truth"
    truth.mkdir()
    write_image(truth / "scene.png", wanted.astype(np.uint8))
    done = CliRunner().invoke(evaluate, [str(folder), "--annotations", str(truth), "--images", str(pictures)])
    assert done.exception is None, done.exception
    assert "1.0000" in done.output
    assert CliRunner().invoke(pack, [str(folder), "--out", str(tmp_path / "b.segrt")]).exception is None


def test_an_ordinary_picture_is_refused_where_bands_are_wanted(adopt: Adopt, two: str, tmp_path: Path) -> None:
    folder, _ = adopt(summing(6), "semantic", labels=two, values="uint8")
    write_image(tmp_path / "photo.png", synthetic_picture(1, SIZE))
    command = [str(folder), str(tmp_path / "photo.png"), "--out"]
    done = CliRunner().invoke(run, [*command, str(tmp_path / "o")])
    assert "image must be uint8 (H, W, 6) for input 'x', but got uint8 (32, 48, 3)" in str(done.exception)
    done = CliRunner().invoke(
        run, [str(folder), str(tmp_path / "photo.png"), "--out", str(tmp_path / "p"), "--skip-bad"]
    )
    assert "none of the 1 pictures could be segmented" in str(done.exception)


def export_smp(tmp_path: Path, channels: int, labels: str, **options: Any) -> tuple[Any, Path]:
    """A U-Net of segmentation-models-pytorch, exported by torch and adopted; → (network, bundle)."""
    torch, smp = pytest.importorskip("torch"), pytest.importorskip("segmentation_models_pytorch")
    torch.manual_seed(1)
    network = smp.Unet(
        "resnet18",
        encoder_depth=3,
        decoder_channels=(64, 32, 16),
        encoder_weights=None,
        in_channels=channels,
        classes=2,
    ).eval()
    with torch.no_grad():
        head = network.segmentation_head[0]
        head.weight.mul_(20)
        smooth = torch.nn.functional.interpolate(torch.randn(4, channels, 9, 11), (64, 96), mode="bilinear")
        logits = network(smooth)
        head.bias[1] -= (logits[:, 1] - logits[:, 0]).median()  # half of a picture is of each class
    path, out = tmp_path / "unet.onnx", tmp_path / "unet"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (torch.zeros(1, channels, 64, 96),), str(path), dynamo=False, opset_version=17)
    adopt_network(path, out, AdoptOptions("semantic", labels, **options))
    return network, out


def agrees(network: Any, segmenter: Any, image: Any, pixels: Any) -> None:
    """Compare the segmenter's result on `image` with torch's of `pixels` (C, h, w), which numpy has prepared."""
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        logits = network(torch.from_numpy(np.ascontiguousarray(pixels, np.float32))[None])
    wanted = torch.nn.functional.interpolate(logits, image.shape[:2], mode="bilinear")[0].argmax(0).numpy()
    assert 0.003 < wanted.mean() < 0.997
    assert (segmenter(image).class_map == wanted).mean() > 0.999


def test_a_grey_u_net_equals_torch_on_pictures_and_on_video(two: str, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    network, folder = export_smp(tmp_path, 1, two, scale=1 / 255, mean=(0.45,), std=(0.22,))
    with open_bundle(folder, threads=1) as segmenter:
        for seed, size in ((1, (64, 96)), (2, (120, 90)), (3, (61, 200))):
            picture = synthetic_picture(seed, size)
            grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
            pixels = (cv2.resize(grey, (96, 64), interpolation=cv2.INTER_LINEAR) / 255 - 0.45) / 0.22
            agrees(network, segmenter, picture, pixels[None])
    video = tmp_path / "clip.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for seed in range(4):
            frame = av.VideoFrame.from_ndarray(synthetic_picture(seed, (64, 96)), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with open_bundle(folder, threads=1) as segmenter:
        seen = [(frame.image, result.class_map) for frame, result in segmenter.stream(video)]  # type: ignore[union-attr]
    assert len(seen) == 4
    with open_bundle(folder, threads=1) as segmenter:
        for image, classes in seen:
            assert np.array_equal(segmenter(image).class_map, classes)  # type: ignore[union-attr]
            pixels = (cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32) / 255 - 0.45) / 0.22
            agrees(network, segmenter, image, pixels[None])


def test_a_multispectral_u_net_equals_torch(two: str, tmp_path: Path) -> None:
    mean, std = (0.1, 0.12, 0.14, 0.3, 0.2), (0.05, 0.06, 0.07, 0.1, 0.09)
    network, folder = export_smp(tmp_path, 5, two, values="uint16", scale=1e-4, mean=mean, std=std)
    with open_bundle(folder, threads=1) as segmenter:
        for size in ((64, 96), (100, 130), (50, 61)):
            smooth = [cv2.resize(RNG.uniform(0, 6000, (9, 11)).astype(np.float32), size[::-1]) for _ in range(5)]
            raw = np.stack(smooth, axis=2).astype(np.uint16)
            wide = [cv2.resize(raw[..., band].astype(np.float32), (96, 64)) for band in range(5)]
            pixels = [(plane * 1e-4 - mean[band]) / std[band] for band, plane in enumerate(wide)]
            agrees(network, segmenter, raw, np.stack(pixels))


def test_a_16_bit_grey_u_net_equals_torch(two: str, tmp_path: Path) -> None:
    network, folder = export_smp(tmp_path, 1, two, values="uint16", scale=1 / 65_535, mean=(0.5,), std=(0.25,))
    with open_bundle(folder, threads=1) as segmenter:
        for size in ((64, 96), (100, 130), (50, 61)):
            raw = cv2.resize(RNG.integers(0, 65_536, (9, 11), dtype=np.uint16), size[::-1])
            pixels = (cv2.resize(raw.astype(np.float32), (96, 64)) / 65_535 - 0.5) / 0.25
            agrees(network, segmenter, raw, pixels[None])
            cv2.imwrite(str(tmp_path / "thermal.png"), raw)
            read = segmenter.read(tmp_path / "thermal.png")
            assert np.array_equal(read, raw)
            # A camera's 8 bits are not 16.
            with pytest.raises(SegrtError, match="image must be uint16 grey"):
                segmenter(np.zeros((64, 96, 3), np.uint8))
