"""One-channel networks as toolchains export them: adopted, they find what the toolchain's own way finds."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.adopting import adopt_network
from segrt.export.synthetic_pictures import synthetic_picture
from segrt.runtime import open_bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.decode.binary import Binary
from segrt.runtime.preprocess.picture import network_inputs


def export(network: Any, path: Path, size: tuple[int, int]) -> None:
    """Write `network` with torch's own exporter."""
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network.eval(), (torch.zeros(1, 3, *size),), str(path), dynamo=False, opset_version=17)


def torch_to_bundle(network: Any, tmp_path: Path, labels: str, size: tuple[int, int], **options: Any) -> Path:
    """Export with torch's own exporter and adopt what it wrote."""
    path, out = tmp_path / "exported.onnx", tmp_path / "exported"
    export(network, path, size)
    adopt_network(path, out, AdoptOptions(technique="semantic", labels=labels, overwrite=True, **options))
    return out


def agreement(folder: Path, framework: Callable[[Any], Any]) -> float:
    """Return the least share of pixels, over three pictures, in which a bundle equals `framework` (pixels → mask)."""
    torch = pytest.importorskip("torch")
    manifest, least = read_bundle(folder).manifest, 1.0
    with open_bundle(folder, threads=1) as segmenter:
        for seed, size in ((1, (90, 130)), (2, (200, 120)), (3, (61, 77))):
            picture = synthetic_picture(seed, size)
            inputs, _ = network_inputs(manifest.inputs, picture)
            with torch.no_grad():
                wanted = framework(torch.from_numpy(next(iter(inputs.values()))), size).numpy()
            assert 0.02 < wanted.mean() < 0.98
            least = min(least, float((segmenter(picture).class_map == wanted).mean()))  # type: ignore[union-attr]
    return least


@pytest.mark.parametrize("activation", [None, "sigmoid"])
@pytest.mark.parametrize(
    ("name", "shallow"),
    [
        ("Unet", {"encoder_depth": 3, "decoder_channels": (64, 32, 16)}),
        ("FPN", {"encoder_depth": 4}),
        ("Linknet", {"encoder_depth": 3}),
    ],
    ids=["Unet", "FPN", "Linknet"],
)
def test_networks_of_smp_cut_as_its_examples_do(
    name: str, shallow: dict[str, Any], activation: str | None, one: str, tmp_path: Path
) -> None:
    smp: Any = pytest.importorskip("segmentation_models_pytorch")
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    network = getattr(smp, name)("resnet18", encoder_weights=None, classes=1, activation=activation, **shallow)
    with torch.no_grad():  # so that the object has a share of the picture
        network.eval()
        head = network.segmentation_head
        logits = head[0](network.decoder(network.encoder(torch.randn(1, 3, 64, 96))))
        head[0].bias -= logits.median()
        head[0].weight.mul_(4 / logits.std())
        head[0].bias.mul_(4 / logits.std())

    def framework(pixels: Any, size: tuple[int, int]) -> Any:
        scores = torch.nn.functional.interpolate(network(pixels), size, mode="bilinear", align_corners=False)[0, 0]
        return (scores if activation else scores.sigmoid()) > 0.5

    folder = torch_to_bundle(network, tmp_path, one, (64, 96))
    assert read_bundle(folder).manifest.decode == Binary(scores="probabilities" if activation else "logits")
    assert agreement(folder, framework) > 0.9995


def test_a_matting_network_is_enlarged_as_probabilities(one: str, tmp_path: Path) -> None:
    """As BiRefNet, MODNet and rembg's networks: a sigmoid at the end, enlarged to the picture, then cut."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 5, 2, 2), torch.nn.ReLU(), torch.nn.Conv2d(8, 1, 3, 2, 1, bias=False), torch.nn.Sigmoid()
    ).eval()
    with torch.no_grad():
        network[2].weight.mul_(20)

    def framework(pixels: Any, size: tuple[int, int]) -> Any:
        return torch.nn.functional.interpolate(network(pixels), size, mode="bilinear")[0, 0] > 0.35

    folder = torch_to_bundle(network, tmp_path, one, (64, 96), score_threshold=0.35)
    assert read_bundle(folder).manifest.heads[0].shape == (1, 1, 16, 24)
    assert agreement(folder, framework) > 0.9995


def test_a_segformer_of_one_class_says_so_beside_its_file(tmp_path: Path) -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_labels=1, depths=[1] * 4, hidden_sizes=[16, 32, 40, 64], decoder_hidden_size=32, id2label={0: "crack"}
    )
    inner = transformers.SegformerForSemanticSegmentation(config).eval()
    inner.save_pretrained(tmp_path)
    transformers.SegformerImageProcessor(size={"height": 64, "width": 96}).save_pretrained(tmp_path)
    torch.nn.init.normal_(inner.decode_head.classifier.weight, std=4.0)

    class Logits(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, pixel_values: Any) -> Any:
            return inner(pixel_values=pixel_values).logits

    def framework(pixels: Any, size: tuple[int, int]) -> Any:
        logits = inner(pixel_values=pixels).logits
        return torch.nn.functional.interpolate(logits, size, mode="bilinear", align_corners=False)[0, 0].sigmoid() > 0.5

    path, out = tmp_path / "model.onnx", tmp_path / "adopted"
    export(Logits(), path, (64, 96))
    adopt_network(path, out, AdoptOptions())
    assert [label.name for label in read_bundle(out).manifest.labels] == ["background", "crack"]
    assert agreement(out, framework) > 0.9995


def test_the_cases_of_the_field_find_the_bright_half(fixtures: Path, tmp_path: Path) -> None:
    from segrt.runtime.files.images import read_image

    folder = fixtures / "field" / "binary"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    for name, labels in (("logit", "one"), ("logit", "two"), ("sigmoid", "one"), ("sigmoid", "two")):
        options = AdoptOptions(technique="semantic", labels=str(folder / f"{labels}.txt"), overwrite=True)
        adopt_network(folder / f"{name}.onnx", tmp_path / "out", options)
        with open_bundle(tmp_path / "out", threads=1) as segmenter:
            result: Any = segmenter(read_image(folder / "half.png"))
        assert [result.labels[value].name for value in result.class_map[10, [5, 60]]] == ["background", "object"]
        assert (result.class_map == 1).mean() == 0.5
