"""Semantic networks by their repository or folder: what the folder says decides."""

import json
from pathlib import Path

import pytest
from harness import check_export

from segrt.export.family import Request, Weights
from segrt.export.models.auto_semantic import hub_entry
from segrt.export.models.catalogue import find_model
from segrt.export.models.shared import transformers_semantic
from segrt.runtime.decode.binary import Binary
from segrt.runtime.errors import SegrtError


@pytest.fixture(scope="module")
def mobilevit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as save_pretrained writes it: a small MobileViT, whose processor crops and takes BGR, with 4 classes."""
    import torch
    from transformers import MobileViTConfig, MobileViTForSemanticSegmentation, MobileViTImageProcessor

    folder = tmp_path_factory.mktemp("hub") / "my-mobilevit"
    torch.manual_seed(0)
    config = MobileViTConfig(
        hidden_sizes=[16, 24, 32],
        neck_hidden_sizes=[16, 16, 24, 32, 48, 64, 96],
        num_attention_heads=2,
        mlp_ratio=1.0,
        output_stride=16,
        aspp_out_channels=32,
        id2label={0: "soil", 1: "leaf", 2: "stem", 3: "sky"},
    )
    MobileViTForSemanticSegmentation(config).save_pretrained(folder)
    MobileViTImageProcessor(size={"shortest_edge": 144}, crop_size={"height": 128, "width": 128}).save_pretrained(
        folder
    )
    return folder


def test_a_folder_exports_with_its_own_classes_size_and_processor(
    mobilevit: Path, tmp_path: Path, photos: Path
) -> None:
    checked = check_export(f"hf:{mobilevit}", tmp_path, photos, size=(128, 128))
    assert checked.manifest.name == "hf:my-mobilevit"
    assert [label.name for label in checked.manifest.labels] == ["soil", "leaf", "stem", "sky"]
    assert len({label.color for label in checked.manifest.labels}) == 4
    assert checked.manifest.heads[0].shape == (1, 4, 8, 8)


@pytest.fixture(scope="module")
def one_class(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small SegFormer of one class, as num_labels=1 makes it."""
    import torch
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    folder = tmp_path_factory.mktemp("hub") / "my-crack"
    torch.manual_seed(0)
    config = SegformerConfig(num_labels=1, depths=[1, 1, 1, 1], hidden_sizes=[16, 32, 40, 64], decoder_hidden_size=32)
    network = SegformerForSemanticSegmentation(config).eval()
    torch.nn.init.normal_(network.decode_head.classifier.weight, std=2.0)
    network.save_pretrained(folder)
    SegformerImageProcessor(size={"height": 64, "width": 96}).save_pretrained(folder)
    return folder


def test_one_class_is_cut_where_its_probability_is_above_a_half(one_class: Path, tmp_path: Path, photos: Path) -> None:
    checked = check_export(f"hf:{one_class}", tmp_path, photos, size=(64, 96), engine=False)
    assert checked.manifest.decode == Binary()
    assert checked.manifest.heads[0].role == "object_scores"
    assert checked.manifest.heads[0].shape == (1, 1, 16, 24)
    assert [label.name for label in checked.manifest.labels] == ["background", "LABEL_0"]


def test_one_class_takes_one_name_or_two(one_class: Path, tmp_path: Path) -> None:
    from segrt.export.convert.exporting import build
    from segrt.runtime.results.labels.class_lists import read_labels

    (tmp_path / "one.txt").write_text("crack\n")
    (tmp_path / "two.txt").write_text("road\ncrack\n")
    model = find_model(f"hf:{one_class}")
    for name, wanted in (("one.txt", ["background", "crack"]), ("two.txt", ["road", "crack"])):
        labels = read_labels(str(tmp_path / name))
        exportable = build(Request(model, model.size, Weights("pretrained"), labels))
        assert [label.name for label in exportable.labels] == wanted
        assert exportable.core.network.config.num_labels == 1


def test_the_folders_weights_are_taken(mobilevit: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from segrt.export.convert.exporting import build

    model = find_model(f"hf:{mobilevit}")
    assert model.size == (128, 128)
    exportable = build(Request(model, model.size, Weights("pretrained")))
    state = load_file(mobilevit / "model.safetensors")
    name = "segmentation_head.classifier.convolution.weight"
    assert torch.equal(exportable.core.network.state_dict()[name], state[name])
    assert exportable.color == "bgr"
    assert exportable.mean == (0.0, 0.0, 0.0)
    assert str(mobilevit) not in exportable.source.weights


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "bert", "architectures": ["BertModel"]}, "is BertModel; hf: takes semantic networks of beit"),
        ({"model_type": "segformer", "architectures": ["SegformerForImageClassification"]}, "ForImageClassification"),
        ({"model_type": "segformer", "architectures": ["SegformerForSemanticSegmentation"]}, "names no size"),
        (
            {"model_type": "segformer", "architectures": ["SegformerForSemanticSegmentation"], "num_channels": 1},
            "says num_channels 1, but hf: takes colour pictures alone; export it to ONNX yourself, and let",
        ),
        ([1], "must be a JSON object"),
    ],
)
def test_what_is_no_semantic_network_is_refused(config: object, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "preprocessor_config.json").write_text("{}")
    with pytest.raises(SegrtError, match=message):
        find_model(f"hf:{tmp_path}")


def test_another_technique_than_the_networks_is_refused(mobilevit: Path) -> None:
    assert find_model(f"hf:semantic:{mobilevit}").technique == "semantic"
    for technique in ("instance", "panoptic"):
        with pytest.raises(SegrtError, match=rf"gives no {technique} results; leave {technique}: out$"):
            find_model(f"hf:{technique}:{mobilevit}")


def test_a_name_that_is_neither_folder_nor_repository_says_so(tmp_path: Path) -> None:
    with pytest.raises(SegrtError, match="neither a folder nor ORGANISATION/NAME"):
        find_model("hf:nothing-here")
    with pytest.raises(SegrtError, match=r"config\.json: is missing"):
        find_model(f"hf:{tmp_path}")


def test_beit_has_one_size_and_others_their_processors() -> None:
    size = hub_entry._size("x", "beit", {"image_size": 640}, {"size": {"height": 512, "width": 512}}, 16)
    assert size == (640, 640)
    assert hub_entry._size("x", "segformer", {}, {"size": 512}, 32) == (512, 512)
    assert hub_entry._size("x", "dpt", {}, {"size": {"height": 480, "width": 640}}, 16) == (480, 640)


def test_mobilevitv2_cuts_patches_as_transformers_does() -> None:
    import torch
    from transformers import MobileViTV2Config, MobileViTV2ForSemanticSegmentation

    config = MobileViTV2Config(num_labels=3, width_multiplier=0.25, output_stride=16, n_attn_blocks=[1, 1, 1])
    network = MobileViTV2ForSemanticSegmentation(config).eval()
    core, _, _ = transformers_semantic.core_of(network)
    pixels = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(core(pixels), network(pixels).logits)
    assert not any("folding" in vars(module) for module in network.modules()), "the framework's stays unmodified"


def test_dpt_ends_before_its_enlargement() -> None:
    import torch
    from transformers import DPTConfig, DPTForSemanticSegmentation

    sizes = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
    config = DPTConfig(
        **sizes,
        image_size=64,
        patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 16, 24, 32],
        fusion_hidden_size=16,
        num_labels=3,
    )
    network = DPTForSemanticSegmentation(config).eval()
    core, decode, _ = transformers_semantic.core_of(network)
    assert decode.align_corners
    pixels = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        logits, whole = core(pixels), network(pixels).logits
    assert logits.shape[-1] * 2 == whole.shape[-1]
    enlarged = torch.nn.functional.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=True)
    torch.testing.assert_close(enlarged, whole)


@pytest.mark.parametrize("kind", ["feature_extractor_type", "image_processor_type"])
def test_processors_are_read_under_their_older_name(kind: str, tmp_path: Path) -> None:
    from transformers import SegformerImageProcessor

    config = {"model_type": "segformer", "architectures": ["SegformerForSemanticSegmentation"], "id2label": {"0": "a"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    older = {kind: "SegformerFeatureExtractor", "size": 512, "resample": 2, "image_mean": [0.1, 0.2, 0.3]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(older))
    model = find_model(f"hf:{tmp_path}")
    assert model.size == (512, 512)
    request = Request(model, model.size, Weights("random"))
    for default in (None, SegformerImageProcessor):
        processor = transformers_semantic.processor_of(request, default, tmp_path)
        assert type(processor).__name__ == "SegformerImageProcessor"
        assert transformers_semantic.normalisation_of(processor)[0] == pytest.approx((0.1, 0.2, 0.3))
        assert transformers_semantic.resize_of(processor, request).interpolation == "linear"
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**older, "resample": 1}))
    with pytest.raises(SegrtError, match="filter number 1; known are 2"):
        transformers_semantic.resize_of(transformers_semantic.processor_of(request, None, tmp_path), request)
