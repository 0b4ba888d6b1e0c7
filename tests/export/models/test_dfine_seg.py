"""D-FINE-seg against its authors' names and post-processing; `original_dfine_seg.py` compares it with their code."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from harness import check_export  # noqa: E402

from segrt.export.convert.exporting import build  # noqa: E402
from segrt.export.family import Request, Weights  # noqa: E402
from segrt.export.models.catalogue import find_model  # noqa: E402
from segrt.export.models.dfine_seg.dfine_names import our_name, with_our_names  # noqa: E402
from segrt.export.models.dfine_seg.dfine_network import PositionEmbedding, whole_pixels  # noqa: E402
from segrt.runtime.errors import SegrtError  # noqa: E402
from segrt.runtime.results import InstanceResult  # noqa: E402

SIZE = (128, 160)
SMALL: dict[str, Any] = {"num_queries": 60, "decoder_layers": 2}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("backbone.stem.stem2a.conv.weight", "model.backbone.model.embedder.stem2a.convolution.weight"),
        ("backbone.stem.stem1.bn.running_var", "model.backbone.model.embedder.stem1.normalization.running_var"),
        (
            "backbone.stages.2.blocks.1.layers.0.conv2.conv.weight",
            "model.backbone.model.encoder.stages.2.blocks.1.layers.0.conv2.convolution.weight",
        ),
        ("backbone.stages.1.downsample.lab.scale", "model.backbone.model.encoder.stages.1.downsample.lab.scale"),
        ("encoder.input_proj.1.norm.bias", "model.encoder_input_proj.1.1.bias"),
        ("encoder.encoder.0.layers.0.self_attn.out_proj.bias", "model.encoder.aifi.0.layers.0.self_attn.o_proj.bias"),
        ("encoder.encoder.0.layers.0.norm2.weight", "model.encoder.aifi.0.layers.0.final_layer_norm.weight"),
        (
            "encoder.fpn_blocks.0.cv2.0.bottlenecks.1.conv1.norm.weight",
            "model.encoder.fpn_blocks.0.csp_rep1.bottlenecks.1.conv1.norm.weight",
        ),
        ("encoder.pan_blocks.1.cv3.1.conv.weight", "model.encoder.pan_blocks.1.conv3.conv.weight"),
        ("encoder.pan_blocks.1.cv4.norm.bias", "model.encoder.pan_blocks.1.conv4.norm.bias"),
        ("encoder.downsample_convs.0.0.cv2.conv.weight", "model.encoder.downsample_convs.0.conv2.conv.weight"),
        (
            "decoder.decoder.layers.1.cross_attn.sampling_offsets.bias",
            "model.decoder.layers.1.encoder_attn.sampling_offsets.bias",
        ),
        ("decoder.decoder.layers.0.linear1.weight", "model.decoder.layers.0.mlp.layers.0.weight"),
        ("decoder.decoder.layers.0.norm3.weight", "model.decoder.layers.0.final_layer_norm.weight"),
        (
            "decoder.decoder.lqe_layers.2.reg_conf.layers.0.weight",
            "model.decoder.lqe_layers.2.reg_conf.layers.0.weight",
        ),
        ("decoder.dec_bbox_head.1.layers.2.bias", "model.decoder.bbox_embed.1.layers.2.bias"),
        ("decoder.enc_output.norm.weight", "model.enc_output.1.weight"),
        ("decoder.mask_head.layers.2.weight", "mask_head.layers.2.weight"),
        ("decoder.mask_decoder.bn1.weight", "mask_decoder.bn1.weight"),
        ("decoder.up", "model.decoder.up"),
    ],
)
def test_published_names_become_those_of_transformers_modules(theirs: str, ours: str) -> None:
    assert our_name(theirs) == ours


def test_a_packed_projection_becomes_three_and_what_training_needs_is_left_out() -> None:
    packed = torch.arange(24.0).reshape(12, 2)
    given = {
        "decoder.decoder.layers.0.self_attn.in_proj_weight": packed,
        "decoder.denoising_class_embed.weight": torch.zeros(3),
        "decoder.anchors": torch.zeros(3),
        "decoder.valid_mask": torch.zeros(3),
        "decoder.dec_score_head.0.weight": torch.zeros(2),
        "decoder.dec_score_head.1.weight": torch.ones(2),
        "decoder.decoder.lqe_layers.0.reg_conf.layers.0.bias": torch.zeros(2),
    }
    found = with_our_names(given)
    first = "model.decoder.layers.0.self_attn"
    assert set(found) == {*(f"{first}.{part}_proj.weight" for part in "qkv"), "model.decoder.class_embed.1.weight"}
    assert torch.equal(found[f"{first}.k_proj.weight"], packed[4:8])
    assert torch.equal(found["model.decoder.class_embed.1.weight"], torch.ones(2))


def test_positions_are_counted_as_the_authors_count_them() -> None:
    """`build_2d_sincos_position_embedding` of D-FINE, cell by cell, for an input that is no square."""
    width, height, channels = 5, 3, 8
    found = PositionEmbedding(channels)(width, height, "cpu", torch.float32)[0]
    expected = []
    for x in range(width):
        for y in range(height):
            omega = [10000 ** -(index / 2) for index in range(2)]
            row = [torch.tensor([place * one for one in omega]) for place in (x, y)]
            expected.append(torch.cat([row[0].sin(), row[0].cos(), row[1].sin(), row[1].cos()]))
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-6, rtol=1e-6)


def test_boxes_are_whole_pixels_inside_the_input() -> None:
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.3], [0.05, 0.95, 0.4, 0.4]]])
    found = whole_pixels(boxes, (100, 200))[0]
    assert found.tolist() == [[80.0, 35.0, 120.0, 65.0], [1.0, 75.0, 50.0, 99.0]]


def test_weights_of_a_detector_alone_and_sizes_without_enough_cells_are_refused_in_one_line(tmp_path: Path) -> None:
    model = find_model("dfine-seg-n")
    core = build(Request(model, SIZE, Weights("random"), overrides=SMALL)).core.network
    path = tmp_path / "detector.pth"
    # Names of transformers' modules are no names of D-FINE's: those of the mask head alone are the same.
    torch.save({f"decoder.{name}": value for name, value in core.mask_head.state_dict().items()}, path)
    with pytest.raises(SegrtError, match="the weights do not fit") as refused:
        build(Request(model, SIZE, Weights("file", path), overrides=SMALL))
    assert "\n" not in str(refused.value)
    with pytest.raises(SegrtError, match=r"--size 128x160: dfine-seg-n chooses 300 queries, but .* has 100 cells"):
        build(Request(model, SIZE, Weights("random")))


def test_the_bundle_equals_the_authors_post_processing(tmp_path: Path, photos: Path) -> None:
    checked = check_export("dfine-seg-n", tmp_path, photos, size=SIZE, overrides=SMALL, top_queries=200)
    assert checked.manifest.head("predictions").shape == (1, 262, 200)
    assert checked.manifest.head("prototypes").shape == (1, 256, 16, 20)
    assert all(isinstance(result, InstanceResult) for result in checked.results)
    assert len({class_id for result in checked.results for class_id in result.class_ids}) >= 3  # type: ignore[union-attr]
    assert all(0 < mask.sum() < mask.size for result in checked.results for mask in result.masks)  # type: ignore[union-attr]
