"""EoMT: the bundle's results are those of transformers' own model and post-processing."""

from pathlib import Path

import pytest
import torch
from harness import check_export

from segrt.export.models.eomt.build import EomtCore
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
