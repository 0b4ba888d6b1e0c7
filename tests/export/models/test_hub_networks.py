"""Query networks by their repository or folder: the family that has them builds them as their own files say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from segrt.export.convert.exporting import build
from segrt.export.family import Request, Weights
from segrt.export.models.catalogue import find_model
from segrt.export.models.shared.query_entry import ARCHITECTURES
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.query_semantic import QuerySemantic
from segrt.runtime.errors import SegrtError
from segrt.runtime.results.labels.class_lists import read_labels

SWIN: dict[str, Any] = {
    "model_type": "swin",
    "embed_dim": 32,
    "depths": [1, 1, 1, 1],
    "num_heads": [1, 2, 4, 8],
    "window_size": 4,
    "image_size": 64,
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
}
KNOWN = {0: "person", 1: "car", 2: "sky-other-merged"}
OWN = {0: "crack", 1: "leaf"}
PROCESSOR = {
    "size": {"height": 64, "width": 96},
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
KEPT_SHAPE = {**PROCESSOR, "size": {"shortest_edge": 64, "longest_edge": 96}}


@pytest.fixture(scope="module")
def mask2former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Mask2Former with COCO's instance classes, saved by transformers."""
    import torch
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation

    folder = tmp_path_factory.mktemp("hub") / "my-mask2former"
    torch.manual_seed(0)
    config = Mask2FormerConfig.from_dict(
        {"backbone_config": SWIN, "encoder_layers": 1, "decoder_layers": 2, "num_queries": 6, "hidden_dim": 32,
         "mask_feature_size": 32, "feature_size": 32, "num_attention_heads": 2, "dim_feedforward": 32}
    )  # fmt: skip
    config.id2label = {index: label.name for index, label in enumerate(read_labels("coco"))}
    Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return folder


def test_a_folder_is_built_as_its_family_does(mask2former: Path) -> None:
    import torch
    from transformers import Mask2FormerForUniversalSegmentation

    model = find_model(f"hf:{mask2former}")
    assert (model.name, model.technique, model.family) == ("hf:my-mask2former", "instance", "mask2former")
    exportable = build(Request(model, model.size, Weights("pretrained")))
    assert exportable.labels == read_labels("coco")
    assert str(mask2former) not in exportable.source.weights
    network = Mask2FormerForUniversalSegmentation.from_pretrained(mask2former).eval()
    pixels = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        class_logits, mask_logits = exportable.core(pixels)
        wanted = network(pixel_values=pixels)
    torch.testing.assert_close(class_logits, wanted.class_queries_logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(mask_logits, wanted.masks_queries_logits, atol=1e-3, rtol=1e-3)


def test_the_technique_is_that_of_the_classes_or_the_one_asked_for(mask2former: Path) -> None:
    model = find_model(f"hf:{mask2former}")
    assert (model.technique, model.size, model.multiple, model.labels) == ("instance", (64, 96), 32, "coco")
    for technique, rule in (("semantic", QuerySemantic), ("panoptic", MergeQueries), ("instance", QueryInstances)):
        asked = find_model(f"hf:{technique}:{mask2former}")
        assert asked.name == f"hf:{technique}:my-mask2former"
        assert isinstance(build(Request(asked, asked.size, Weights("pretrained"))).decode, rule)


def _small(family: str) -> Any:
    """Return a small network of `family` with the classes `KNOWN`, and what its processor says of pictures."""
    import transformers as t

    width = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "num_blocks": 1, "num_queries": 6}
    if family == "detr":
        config: Any = t.DetrConfig(
            id2label=KNOWN, backbone="resnet18", use_timm_backbone=True, use_pretrained_backbone=False, d_model=32,
            encoder_layers=1, decoder_layers=1, encoder_attention_heads=8, decoder_attention_heads=8,
            encoder_ffn_dim=32, decoder_ffn_dim=32, num_queries=6,
        )  # fmt: skip
        return t.DetrForSegmentation(config), KEPT_SHAPE
    if family == "maskformer":
        decoder = {"model_type": "detr", "d_model": 32, "decoder_layers": 1, "num_queries": 6, "decoder_ffn_dim": 32}
        config = t.MaskFormerConfig.from_dict(
            {"backbone_config": SWIN, "decoder_config": decoder, "fpn_feature_size": 32, "mask_feature_size": 32}
        )
        config.id2label = KNOWN
        return t.MaskFormerForInstanceSegmentation(config), KEPT_SHAPE
    if family == "oneformer":
        config = t.OneFormerConfig.from_dict(
            {"backbone_config": SWIN, "hidden_dim": 32, "mask_dim": 32, "conv_dim": 32, "encoder_layers": 1,
             "decoder_layers": 2, "num_queries": 6, "num_attention_heads": 2, "is_training": False}
        )  # fmt: skip
        config.id2label = KNOWN
        return t.OneFormerForUniversalSegmentation(config), KEPT_SHAPE
    if family == "rfdetr":
        backbone = {
            "model_type": "rf_detr_dinov2", "hidden_size": 48, "num_attention_heads": 2, "num_hidden_layers": 4,
            "image_size": 96, "patch_size": 12, "num_windows": 2, "out_features": ["stage2", "stage4"],
        }  # fmt: skip
        config = t.RfDetrConfig(
            id2label=KNOWN, backbone_config=backbone, decoder_layers=1, d_model=64, decoder_ffn_dim=64, num_queries=6
        )
        return t.RfDetrForInstanceSegmentation(config), {**PROCESSOR, "size": {"height": 96, "width": 96}}
    kind = t.EomtDinov3Config if family == "eomt_dinov3" else t.EomtConfig
    network_kind = t.EomtDinov3ForUniversalSegmentation if family == "eomt_dinov3" else t.EomtForUniversalSegmentation
    config = kind(**width, id2label=KNOWN, image_size=96, **({"intermediate_size": 64} if "v3" in family else {}))
    network = network_kind(config)
    network.attn_mask_probs.zero_()
    return network, KEPT_SHAPE


@pytest.mark.parametrize(
    ("family", "technique"),
    [
        ("detr", "panoptic"),
        ("maskformer", "instance"),
        ("oneformer", "panoptic"),
        ("rfdetr", "instance"),
        ("eomt", "panoptic"),
        ("eomt_dinov3", "instance"),
    ],
)
def test_saved_networks_compute_what_transformers_does(family: str, technique: str, tmp_path: Path) -> None:
    import torch

    torch.manual_seed(0)
    network, processor = _small(family)
    folder = tmp_path / f"my-{technique}"
    network.eval().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    model = find_model(f"hf:{folder}")
    assert (model.technique, model.family) == (technique, family.removesuffix("_dinov3"))
    exportable = build(Request(model, model.size, Weights("pretrained")))
    assert [label.name for label in exportable.labels][:3] == list(KNOWN.values())
    assert {label.name: label.isthing for label in exportable.labels}["person"]
    pixels = torch.randn(1, 3, *model.size)
    masks = (torch.ones(1, *model.size, dtype=torch.bool),) if exportable.valid_mask else ()
    with torch.no_grad():
        class_logits, mask_logits = exportable.core(pixels, *masks)
        if family == "oneformer":
            wanted = network(pixel_values=pixels, task_inputs=exportable.core.task[None])
        elif masks:
            wanted = network(pixel_values=pixels, pixel_mask=masks[0])
        else:
            wanted = network(pixel_values=pixels)
    classes = wanted.logits if "logits" in wanted else wanted.class_queries_logits
    grids = wanted.pred_masks if "pred_masks" in wanted else wanted.masks_queries_logits
    torch.testing.assert_close(class_logits, classes, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(mask_logits, grids, atol=1e-3, rtol=1e-3)


def _folder(tmp_path: Path, architecture: str, processor: object = None, **config: object) -> str:
    folder = tmp_path / "saved"
    folder.mkdir()
    fields = {"architectures": [architecture], "id2label": KNOWN, **config}
    (folder / "config.json").write_text(json.dumps(fields))
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR if processor is None else processor))
    return f"hf:{folder}"


def test_classes_that_no_list_has_need_things_and_stuff_told_apart(tmp_path: Path) -> None:
    name = _folder(tmp_path, "Mask2FormerForUniversalSegmentation", id2label=OWN, backbone_config=SWIN)
    with pytest.raises(SegrtError, match=r"says nowhere whether it was trained for panoptic.* give hf:instance:saved"):
        find_model(name)
    model = find_model(name.replace("hf:", "hf:panoptic:"))
    with pytest.raises(SegrtError, match=r"its classes \(crack, leaf\) are those of no list.*--labels FILE\.json"):
        build(Request(model, model.size, Weights("random")))


@pytest.mark.parametrize(
    ("architecture", "changes", "message"),
    [
        (
            "VideoMaskForSegmentation",
            {},
            "is VideoMaskForSegmentation; hf: takes semantic networks of beit.*EomtDinov3For",
        ),
        ("ConditionalDetrForSegmentation", {}, "is ConditionalDetrForSegmentation"),
        ("Mask2FormerForUniversalSegmentation", {"image_mean": [0.5, 0.5, 0.5]}, "does not normalise as for ImageNet"),
        ("Mask2FormerForUniversalSegmentation", {"do_rescale": False}, "does not normalise as for ImageNet"),
        (
            "Mask2FormerForUniversalSegmentation",
            {"size": KEPT_SHAPE["size"]},
            "mask2former is exported as one that stret",
        ),
        ("MaskFormerForInstanceSegmentation", {}, "maskformer is exported as one that keeps"),
        ("MaskFormerForInstanceSegmentation", {"size": None}, "names no size"),
        ("RfDetrForInstanceSegmentation", {}, "no `backbone_config`"),
    ],
)
def test_what_cannot_be_exported_so_is_refused_by_name(
    architecture: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    name = _folder(tmp_path, architecture, {**PROCESSOR, **changes})
    with pytest.raises(SegrtError, match=message):
        find_model(name.replace("hf:", "hf:instance:"))


@pytest.mark.parametrize(
    ("architecture", "processor"),
    [
        ("Mask2FormerForUniversalSegmentation", PROCESSOR),
        ("MaskFormerForInstanceSegmentation", KEPT_SHAPE),
        ("RfDetrForInstanceSegmentation", PROCESSOR),
        ("EomtForUniversalSegmentation", PROCESSOR),
    ],
)
def test_whatever_the_files_say_is_taken_or_refused_in_one_line(
    architecture: str, processor: dict[str, Any], tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    values = [
        None,
        True,
        -1,
        0,
        1,
        1.5,
        10**400,
        "x",
        "",
        [],
        [0.1, 0.2, 0.3],
        {},
        {"height": 8},
        {"shortest_edge": "x"},
    ]
    config = {
        "architectures": [architecture], "id2label": KNOWN, "image_size": 64, "patch_size": 16,
        "backbone_config": {"patch_size": 12, "num_windows": 2, "image_size": 96},
    }  # fmt: skip
    taken, refusals = 0, []
    for _ in range(150):
        contents = [json.loads(json.dumps(content)) for content in (config, {**processor, "max_size": 96})]
        target = contents[int(random.integers(2))]
        if random.random() < 0.3 and isinstance(target.get("backbone_config"), dict):
            target = target["backbone_config"]
        target[random.choice(list(target))] = values[int(random.integers(len(values)))]
        for name, content in zip(("config.json", "preprocessor_config.json"), contents, strict=True):
            (tmp_path / name).write_text(json.dumps(content))
        try:
            find_model(f"hf:instance:{tmp_path}")
            taken += 1
        except SegrtError as error:
            refusals.append(str(error))
    assert taken
    assert refusals
    assert not any("\n" in refusal for refusal in refusals)


def test_a_network_of_one_technique_takes_no_other(tmp_path: Path) -> None:
    name = _folder(tmp_path, "DetrForSegmentation", KEPT_SHAPE)
    assert find_model(name).technique == "panoptic"
    with pytest.raises(SegrtError, match="for panoptic segmentation alone; leave instance: out"):
        find_model(name.replace("hf:", "hf:instance:"))


def test_every_architecture_is_one_of_transformers() -> None:
    import transformers

    assert all(hasattr(transformers, name) for name in ARCHITECTURES)
