"""EoMT: the bundle's results are those of transformers' own model and post-processing."""

import shutil
from collections import Counter
from pathlib import Path

import onnx
import pytest
import torch
from harness import check_export

from segrt.export.convert.exporting import build
from segrt.export.family import ATTENTION_SCORES, Request, Weights
from segrt.export.models.catalogue import find_model
from segrt.export.models.eomt import MODELS
from segrt.export.models.eomt.build import EomtCore
from segrt.export.precision.indexed_graph import prepare_graph
from segrt.export.precision.layer_costs import kept_nodes
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.query_semantic import QuerySemantic
from segrt.runtime.errors import SegrtError

SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_blocks": 2,
    "num_queries": 40,
}
SIZE = (192, 192)


def test_panoptic_results_are_those_of_transformers(tmp_path: Path, photos: Path) -> None:
    checked = check_export("eomt-large-640-coco-panoptic", tmp_path, photos, size=SIZE, overrides=SMALL)
    assert checked.manifest.decode == MergeQueries("eomt", 0.8)


def test_the_surest_queries_on_dinov3_give_the_results_of_transformers(tmp_path: Path, photos: Path) -> None:
    overrides = {**SMALL, "intermediate_size": 128}
    checked = check_export(
        "eomt-large-640-dinov3-coco-panoptic", tmp_path, photos, size=SIZE, overrides=overrides, top_queries=30
    )
    assert [head.shape[1] for head in checked.manifest.heads] == [30, 30]
    net = prepare_graph(onnx.load(checked.bundle / "model.fp32.onnx"), "exported")
    kept = [node for node in net.nodes if node.name in kept_nodes(net, [ATTENTION_SCORES])]
    assert Counter(node.op_type for node in kept) == {"MatMul": 4, "Mul": 4, "Softmax": 4}
    computed = {"Cos", "Sin", "Tile"}  # rotary positions are constants
    assert not computed & {node.op_type for node in net.nodes}


def test_semantic_results_are_those_of_transformers(tmp_path: Path, photos: Path) -> None:
    checked = check_export("eomt-large-512-ade20k-semantic", tmp_path, photos, size=SIZE, overrides=SMALL, engine=False)
    assert checked.manifest.decode == QuerySemantic("network")
    assert checked.report.parity.agreement >= 0.999


def test_instances_are_those_of_transformers(tmp_path: Path, photos: Path) -> None:
    checked = check_export("eomt-large-640-coco-instance", tmp_path, photos, size=SIZE, overrides=SMALL, engine=False)
    decode = checked.manifest.decode
    assert isinstance(decode, QueryInstances)
    assert (decode.processed_size, decode.score_at) == ("network", "picture")
    assert checked.report.parity.agreement >= 0.99


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small EoMT on DINOv3 as save_pretrained writes it, made for 64 x 64."""
    from transformers import EomtDinov3Config, EomtDinov3ForUniversalSegmentation

    folder = tmp_path_factory.mktemp("eomt")
    torch.manual_seed(0)
    config = EomtDinov3Config(
        **SMALL, intermediate_size=128, image_size=64, id2label={0: "person", 1: "sky-other-merged", 2: "car"}
    )
    model = EomtDinov3ForUniversalSegmentation(config)
    model.attn_mask_probs.zero_()
    model.save_pretrained(folder)
    return folder


def test_dinov3_takes_other_sizes_than_its_configuration_names(saved: Path) -> None:
    from transformers import EomtDinov3ForUniversalSegmentation

    model = find_model("eomt-large-640-dinov3-coco-panoptic")
    weights = Weights("file", saved / "model.safetensors")
    exportable = build(Request(model, (96, 96), weights))
    assert exportable.keep == (ATTENTION_SCORES,)
    assert [(label.name, label.isthing) for label in exportable.labels] == [
        ("person", True),
        ("sky-other-merged", False),
        ("car", True),
    ]
    framework = EomtDinov3ForUniversalSegmentation.from_pretrained(saved).eval()
    framework.grid_size = (6, 6)
    pixels = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        class_logits, mask_logits = exportable.core(pixels)
        wanted = framework(pixel_values=pixels)
    torch.testing.assert_close(class_logits, wanted.class_queries_logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(mask_logits, wanted.masks_queries_logits, atol=1e-4, rtol=1e-4)


def test_differences_to_dinov3_are_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save({"network.encoder.backbone.norm.weight": torch.zeros(4), "network.q.weight": torch.zeros(4, 4)}, path)
    model = find_model("eomt-small-640-dinov3-coco-panoptic")
    with pytest.raises(SegrtError, match=r"not weights; give whole ones \(tue-mps/eomt-dinov3-coco-panoptic-small-640"):
        build(Request(model, model.size, Weights("file", path)))


@pytest.mark.parametrize("name", ["eomt-small-640-dinov3-coco-panoptic", "eomt-large-512-dinov3-ade20k-semantic"])
def test_weights_of_another_network_are_refused_in_one_line(name: str, saved: Path, tmp_path: Path) -> None:
    shutil.copy(saved / "model.safetensors", tmp_path / "other.safetensors")  # without the configuration beside it
    model = find_model(name)
    with pytest.raises(SegrtError, match=r"the weights do not fit: .* of another shape") as raised:
        build(Request(model, model.size, Weights("file", tmp_path / "other.safetensors")))
    assert "\n" not in str(raised.value)


def test_the_published_networks_on_dinov3_are_listed() -> None:
    listed = {
        model.checkpoint.address: (model.size[0], model.options["num_queries"], model.options["num_blocks"])
        for model in MODELS
        if model.options["backbone"] == "dinov3" and model.checkpoint is not None
    }
    assert listed == {
        "tue-mps/eomt-dinov3-coco-panoptic-small-640": (640, 200, 3),
        "tue-mps/eomt-dinov3-coco-panoptic-base-640": (640, 200, 3),
        "tue-mps/eomt-dinov3-coco-panoptic-large-640": (640, 200, 4),
        "tue-mps/eomt-dinov3-coco-panoptic-large-1280": (1280, 200, 4),
        "tue-mps/eomt-dinov3-coco-instance-large-640": (640, 200, 4),
        "tue-mps/eomt-dinov3-coco-instance-large-1280": (1280, 200, 4),
        "tue-mps/eomt-dinov3-ade-semantic-large-512": (512, 100, 4),
    }


@pytest.mark.parametrize("probabilities", [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)])
def test_the_core_computes_what_transformers_computes(probabilities: tuple[float, float]) -> None:
    model = _network(probabilities)
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        class_logits, mask_logits = EomtCore(model)(pixels)
        wanted = model(pixel_values=pixels)
    torch.testing.assert_close(class_logits, wanted.class_queries_logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(mask_logits, wanted.masks_queries_logits, atol=1e-5, rtol=1e-5)


def test_weights_of_an_unfinished_training_are_refused() -> None:
    with pytest.raises(SegrtError, match="training has not ended"):
        EomtCore(_network((0.5, 1.0)))


@pytest.mark.parametrize(("size", "weights", "message"), [((192, 256), "random", "square"), ((192, 192), "x", "")])
def test_sizes_that_it_cannot_take_are_refused(
    size: tuple[int, int], weights: str, message: str, tmp_path: Path
) -> None:
    from segrt.export.convert.exporting import ExportOptions, export_model
    from segrt.export.family import Weights

    kind = Weights("random") if weights == "random" else Weights("pretrained")
    with pytest.raises(SegrtError, match=message or "positions for 640x640"):
        export_model("eomt-large-640-coco-panoptic", tmp_path / "bundle", ExportOptions(kind, size=size))


def _network(probabilities: tuple[float, float]) -> torch.nn.Module:
    from transformers import EomtConfig, EomtForUniversalSegmentation

    torch.manual_seed(0)
    config = EomtConfig(**{**SMALL, "num_queries": 5}, image_size=64, num_labels=3)
    model = EomtForUniversalSegmentation(config).eval()
    model.attn_mask_probs.copy_(torch.tensor(probabilities))
    model.set_attn_implementation("eager")
    return model
