"""MaskFormer: the bundle's results are those of transformers' own model and post-processing, on padded pictures too."""

from pathlib import Path

from harness import check_export

from segrt.runtime.decode.query_semantic import QuerySemantic

SMALL = {
    "backbone_config": {"embed_dim": 32, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 4, 8)},
    "decoder_config": {"decoder_layers": 2, "num_queries": 40},
}


def test_semantic_results_are_those_of_transformers(tmp_path: Path, photos: Path) -> None:
    checked = check_export("maskformer-swin-tiny-ade", tmp_path, photos, size=(160, 224), overrides=SMALL)
    assert checked.manifest.decode == QuerySemantic()
    assert checked.manifest.image_input.resize.rule == "letterbox"
    assert checked.report.parity.agreement > 0.999
