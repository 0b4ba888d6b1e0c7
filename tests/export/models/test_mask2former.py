"""Mask2Former: the bundle's results are those of transformers' own model and post-processing."""

from pathlib import Path

from harness import EVERY, check_export

from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.query_semantic import QuerySemantic

BACKBONE = {"embed_dim": 32, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 4, 8)}
SMALL = {"backbone_config": BACKBONE, "encoder_layers": 1, "decoder_layers": 3, "num_queries": 40}
SIZE = (192, 192)


def test_panoptic_results_are_those_of_transformers(tmp_path: Path, photos: Path) -> None:
    checked = check_export("mask2former-swin-tiny-coco-panoptic", tmp_path, photos, size=SIZE, overrides=SMALL)
    assert checked.manifest.decode == MergeQueries("mask2former", 0.5)
    assert len(checked.manifest.labels) == 133


@EVERY
def test_instances_of_the_surest_queries_are_those_of_transformers(tmp_path: Path, photos: Path) -> None:
    checked = check_export(
        "mask2former-swin-tiny-coco-instance",
        tmp_path,
        photos,
        size=SIZE,
        overrides=SMALL,
        top_queries=30,
    )
    decode = checked.manifest.decode
    assert isinstance(decode, QueryInstances)
    assert (decode.processed_size, decode.score_at) == ((384, 384), "processed")
    assert checked.manifest.required_features == ("processed_size",)
    assert checked.report.parity.agreement >= 0.99
    assert [head.shape[1] for head in checked.manifest.heads] == [30, 30]


@EVERY
def test_semantic_results_on_a_resnet_are_those_of_transformers(tmp_path: Path, photos: Path) -> None:
    backbone = {
        "model_type": "resnet",
        "depths": (1, 1, 1, 1),
        "out_features": ("stage1", "stage2", "stage3", "stage4"),
    }
    checked = check_export(
        "mask2former-swin-tiny-cityscapes-semantic",
        tmp_path,
        photos,
        size=SIZE,
        overrides={**SMALL, "backbone_config": {**backbone, "hidden_sizes": (32, 64, 96, 128)}},
        engine=False,
    )
    assert checked.manifest.decode == QuerySemantic((384, 384))
    assert checked.report.parity.agreement >= 0.999
    assert len(checked.manifest.labels) == 19
