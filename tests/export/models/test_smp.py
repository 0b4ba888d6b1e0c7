"""Networks of segmentation_models_pytorch by their names and folders: the package's results, or a refusal."""

from pathlib import Path
from typing import Any

import pytest
from harness import check_export

from segrt.export.convert.exporting import build, check_size
from segrt.export.family import Request, Weights
from segrt.export.models.catalogue import find_model
from segrt.export.models.shared import smp_networks
from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.binary import Binary
from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Label

smp = pytest.importorskip("segmentation_models_pytorch")

SIZE = (64, 96)
SIZES = {"dpt": (224, 224), "pan": (128, 128)}  # DPT has positions for one size, PAN pools a map four times
NARROW = {"decoder_channels": (32, 24, 16, 12, 8)}
OVERRIDES: dict[str, dict[str, Any]] = {
    "deeplabv3": {"decoder_channels": 32},
    "dpt": {"decoder_intermediate_channels": (8, 16, 16, 16), "decoder_fusion_channels": 16},
    "manet": NARROW,
    "unet": NARROW,
    "unetplusplus": NARROW,
    "upernet": {"decoder_channels": 32},
}
CLASSES = tuple(Label(name, index, False, (9 * index, 9, 9)) for index, name in enumerate(("road", "leaf", "sky")))
# Every architecture, each with an encoder that is small for it.
NETWORKS = (
    ("unet", "mobilenet_v2"),
    ("unetplusplus", "mobilenet_v2"),
    ("fpn", "mobilenet_v2"),
    ("pan", "mobilenet_v2"),
    ("pspnet", "mobilenet_v2"),
    ("manet", "mobilenet_v2"),
    ("linknet", "mobilenet_v2"),
    ("upernet", "mobilenet_v2"),
    ("segformer", "mit_b0"),
    ("deeplabv3", "mobilenet_v2"),
    ("deeplabv3plus", "tu-mobilenetv3_small_050"),
    ("dpt", "tu-vit_tiny_patch16_224"),
)


@pytest.mark.parametrize(("architecture", "encoder"), NETWORKS, ids=[architecture for architecture, _ in NETWORKS])
def test_the_core_is_the_network_before_its_last_step(architecture: str, encoder: str) -> None:
    import torch

    model = find_model(f"smp:{architecture}/{encoder}")
    size, overrides = SIZES.get(architecture, SIZE), OVERRIDES.get(architecture, {})
    exportable = build(Request(model, size, Weights("random"), CLASSES, overrides=overrides))
    network = getattr(smp, model.options["architecture"])(encoder, encoder_weights=None, classes=3, **overrides).eval()
    core = exportable.core
    network.encoder, network.decoder = core.encoder, core.decoder
    if architecture == "dpt":
        network.segmentation_head.head = core.classifier
    else:
        network.segmentation_head[0] = core.classifier
    pixels = torch.rand(1, 3, *size)
    with torch.no_grad():
        logits, whole = core(pixels), network(pixels)
    assert isinstance(exportable.decode, Argmax)
    if logits.shape != whole.shape:
        assert exportable.decode.align_corners
        logits = torch.nn.functional.interpolate(logits, size, mode="bilinear", align_corners=True)
    torch.testing.assert_close(logits, whole)


def test_results_are_those_of_the_package(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "three.txt").write_text("road\nleaf\nsky\n")
    checked = check_export(
        "smp:pspnet/mobilenet_v2", tmp_path, photos, size=SIZE, labels=str(tmp_path / "three.txt"), engine=False
    )
    assert checked.manifest.heads[0].shape == (1, 3, SIZE[0] // 8, SIZE[1] // 8)
    assert checked.manifest.decode == Argmax(align_corners=True)
    assert checked.manifest.family == "smp"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the package's save_pretrained writes it: a U-Net of one class, with an auxiliary head."""
    import torch

    folder = tmp_path_factory.mktemp("smp") / "my-cracks"
    torch.manual_seed(0)
    network = smp.Unet(
        "mobilenet_v2",
        encoder_weights=None,
        decoder_channels=(32, 24, 16, 12, 8),
        activation="sigmoid",
        aux_params={"classes": 2},
    ).eval()
    torch.nn.init.normal_(network.segmentation_head[0].weight, std=2.0)
    network.save_pretrained(folder)
    return folder


def test_a_folder_of_one_class_is_cut_as_the_packages_binary_mode_does(
    saved: Path, tmp_path: Path, photos: Path
) -> None:
    checked = check_export(f"smp:{saved}", tmp_path, photos, size=SIZE, weights=Weights("pretrained"))
    assert checked.manifest.name == "smp:my-cracks"
    assert checked.manifest.decode == Binary()
    assert checked.manifest.heads[0].role == "object_scores"
    assert [label.name for label in checked.manifest.labels] == ["background", "object"]
    assert str(saved) not in checked.manifest.source.weights
    assert checked.report.parity.agreement > 0.99


def test_weights_are_loaded_strictly(saved: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    state = load_file(saved / "model.safetensors")
    model = find_model(f"smp:{saved}")
    exportable = build(Request(model, SIZE, Weights("pretrained"), CLASSES[1:2]))
    assert [label.name for label in exportable.labels] == ["background", "leaf"]
    name = "encoder.features.0.0.weight"
    assert torch.equal(exportable.core.state_dict()[name], state[name])
    # The same file without its folder: the network's own arguments are the package's defaults, which do not fit.
    plain = find_model("smp:unet/mobilenet_v2")
    with pytest.raises(SegrtError, match=r"the weights do not fit: \d+ of another shape"):
        build(Request(plain, SIZE, Weights("file", saved / "model.safetensors")))
    with pytest.raises(SegrtError, match=r"the weights do not fit: \d+ missing .* unexpected"):
        build(Request(find_model("smp:fpn/resnet18"), SIZE, Weights("file", saved / "model.safetensors")))
    torch.save({"state_dict": {f"model.{key}": value for key, value in state.items()}}, tmp_path / "lightning.ckpt")
    again = build(Request(model, SIZE, Weights("file", tmp_path / "lightning.ckpt")))
    assert torch.equal(again.core.state_dict()[name], state[name])


def test_classes_are_named_by_the_user(tmp_path: Path) -> None:
    import torch

    network = smp.Unet("mobilenet_v2", encoder_weights=None, classes=3)
    torch.save(network.state_dict(), tmp_path / "three.pth")
    model, weights = find_model("smp:unet/mobilenet_v2"), Weights("file", tmp_path / "three.pth")
    with pytest.raises(SegrtError, match=r"its 3 classes have no names .* give them with --labels FILE"):
        build(Request(model, SIZE, weights))
    with pytest.raises(SegrtError, match="--labels: the weights of smp:unet/mobilenet_v2 have 3 classes, but got 2"):
        build(Request(model, SIZE, weights, CLASSES[:2]))
    assert build(Request(model, SIZE, weights, CLASSES)).labels == CLASSES
    with pytest.raises(SegrtError, match="has no published weights; give yours with --weights FILE"):
        build(Request(model, SIZE, Weights("pretrained"), CLASSES))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smp:unett/resnet18", "no architecture 'unett'; did you mean unet"),
        ("smp:unet/resnet19", "no encoder 'resnet19'; did you mean resnet1"),
        (
            "smp:unet/mobilenetv3_small_100",
            "no encoder 'mobilenetv3_small_100'.* or tu-mobilenetv3_small_100 for timm's",
        ),
        (
            "smp:unet/tu-mobilenetv3_smal_100",
            "no network 'mobilenetv3_smal_100'; did you mean tu-mobilenetv3_small_100",
        ),
        ("smp:unet", "neither a folder nor ARCHITECTURE/ENCODER"),
        ("smp:dpt/resnet18", "DPT takes timm's vision transformers alone"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name: str, message: str) -> None:
    with pytest.raises(SegrtError, match=message):
        find_model(name)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('{"encoder_name": "resnet18"}', "no architecture ''"),
        ('{"_model_class": "Unet"}', "names no encoder"),
        ('{"_model_class": "Unet", "encoder_name": "resnet18", "in_channels": 4}', "of 4 channels"),
        (
            '{"_model_class": "Unet", "encoder_name": "resnet18", "activation": "sigmoid", "classes": 3}',
            "over 3 classes",
        ),
        ('{"_model_class": "Unet", "encoder_name": "resnet18", "activation": "tanh"}', "activation is 'tanh'"),
    ],
)
def test_folders_of_other_networks_are_refused(config: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(SegrtError, match=message):
        find_model(f"smp:{tmp_path}")


def test_sizes_that_it_cannot_take_are_refused() -> None:
    with pytest.raises(SegrtError, match="takes multiples of 32; the next are 64x96 or 96x96"):
        check_size(find_model("smp:unet/resnet18"), (70, 96))
    model = find_model("smp:dpt/tu-vit_tiny_patch16_224")
    assert model.size == (224, 224)
    with pytest.raises(SegrtError, match="cannot build it for 96x96"):
        build(Request(model, (96, 96), Weights("random"), CLASSES))
    with pytest.raises(SegrtError, match="cannot build it for 64x96"):
        build(Request(find_model("smp:pan/mit_b0"), SIZE, Weights("random"), CLASSES))


@pytest.mark.parametrize(
    ("encoder", "mean"),
    [
        ("resnet34", (0.485, 0.456, 0.406)),
        ("inceptionv4", (0.5, 0.5, 0.5)),
        ("timm-tf_efficientnet_lite0", (0.5, 0.5, 0.5)),
        ("dpn68", (124 / 255, 117 / 255, 104 / 255)),
        ("tu-vit_tiny_patch16_224", (0.5, 0.5, 0.5)),
        ("tu-resnet18", (0.485, 0.456, 0.406)),
    ],
)
def test_pictures_are_normalised_as_the_encoder_was_trained(encoder: str, mean: tuple[float, ...]) -> None:
    assert smp_networks.normalisation_of(encoder)[0] == pytest.approx(mean)
