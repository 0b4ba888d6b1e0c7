"""ECSeg: its names, its parts, its post-processing; `original_ecseg.py` compares it with its authors' modules."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from harness import EVERY, Checked, check_export  # noqa: E402

from segrt.export.convert.exporting import build  # noqa: E402
from segrt.export.family import Request, Weights  # noqa: E402
from segrt.export.models.catalogue import find_model  # noqa: E402
from segrt.export.models.ecseg.box_refinement import BINS, distances_of_bins, moved  # noqa: E402
from segrt.export.models.ecseg.compact_vit import RotaryPositions, turned  # noqa: E402
from segrt.runtime.decode.query_instances import QueryInstances  # noqa: E402
from segrt.runtime.errors import SegrtError  # noqa: E402
from segrt.runtime.results import InstanceResult  # noqa: E402

SIZE = (128, 160)
SMALL: dict[str, Any] = {"queries": 60, "decoder_layers": 2, "depth": 2}


def test_edges_move_by_the_mean_of_distances_that_are_dense_around_none() -> None:
    bins = distances_of_bins(torch.tensor([0.5]), torch.tensor([4.0]))
    assert len(bins) == BINS
    assert [float(bins[index]) for index in (0, 16, 32)] == [-4.0, 0.0, 4.0]
    assert float(bins[17]) == pytest.approx(3 ** (2 / 30) - 1)
    assert torch.equal(bins, -bins.flip(0))
    boxes = torch.tensor([[[0.5, 0.4, 0.2, 0.4]]])
    edges = torch.full((1, 1, 4, BINS), -50.0)
    edges[..., 16] = 50  # surely no distance at all
    still = moved(boxes, edges.flatten(2), bins, torch.tensor([4.0]))
    torch.testing.assert_close(still, boxes)
    edges[0, 0, 2] = -50
    edges[0, 0, 2, 32] = 50  # the right edge, by 4 / 4 of the width
    wider = moved(boxes, edges.flatten(2), bins, torch.tensor([4.0]))
    torch.testing.assert_close(wider, torch.tensor([[[0.6, 0.4, 0.4, 0.4]]]))


def test_a_patch_is_turned_by_its_place_and_the_first_token_is_not() -> None:
    positions = RotaryPositions(8)
    assert positions.periods.tolist() == pytest.approx([1.0, 10.0])
    sine, cosine = positions(2, 3)
    rows = torch.randn(1, 1, 7, 8, generator=torch.Generator().manual_seed(0))
    found = turned(rows, sine, cosine)
    assert torch.equal(found[:, :, 0], rows[:, :, 0])
    place = (-0.5, 2 / 3)  # of the patch in the first row and last column, y and x from -1 to 1
    angles = [2 * torch.pi * side / period for side in place for period in (1.0, 10.0)]
    for channel, angle in enumerate(angles):
        low, high = float(rows[0, 0, 3, channel]), float(rows[0, 0, 3, channel + 4])
        turn = torch.tensor(angle)
        assert float(found[0, 0, 3, channel]) == pytest.approx(float(low * turn.cos() - high * turn.sin()), abs=1e-5)


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Checked:
    return check_export("ecseg-s", tmp_path_factory.mktemp("ecseg"), photos, size=SIZE, overrides=SMALL)


def test_the_bundle_equals_the_network_with_its_authors_post_processing(checked: Checked) -> None:
    assert checked.manifest.decode == QueryInstances(activation="sigmoid", top_k=300)
    assert {head.role: head.shape for head in checked.manifest.heads} == {
        "class_logits": (1, 60, 80),
        "mask_logits": (1, 60, 32, 40),
    }
    assert checked.report.parity.agreement > 0.98
    for result in checked.results:
        assert isinstance(result, InstanceResult)
        assert len({int(class_id) for class_id in result.class_ids}) > 1
        assert all(0 < mask.sum() < mask.size for mask in result.masks)


@EVERY
@pytest.mark.parametrize("size", ["s", "m", "l", "x"])
def test_whole_networks_export(size: str, tmp_path: Path, photos: Path) -> None:
    check_export(f"ecseg-{size}", tmp_path, photos, size=(640, 640))


def test_checkpoints_load_with_their_averaged_weights_and_without_what_training_adds(tmp_path: Path) -> None:
    model = find_model("ecseg-m")
    core = build(Request(model, SIZE, Weights("random", seed=3), overrides=SMALL)).core
    training = {
        "decoder.anchors": torch.zeros(3),
        "decoder.valid_mask": torch.zeros(3),
        "decoder.denoising_class_embed.weight": torch.zeros(3),
        "decoder.decoder.up": torch.zeros(1),
        "decoder.dec_score_head.0.weight": torch.zeros(3),
        "decoder.decoder.lqe_layers.0.reg_conf.layers.0.bias": torch.zeros(3),
        "decoder.decoder.segmentation_head.blocks.3.norm.bias": torch.zeros(3),
    }
    state = {**core.state_dict(), **training}
    last_step = {name: torch.zeros_like(value) for name, value in state.items()}
    path = tmp_path / "ecseg.pth"
    torch.save({"model": last_step, "ema": {"module": state, "updates": 7}, "last_epoch": 61}, path)
    loaded = build(Request(model, SIZE, Weights("file", path), overrides=SMALL)).core.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in core.state_dict().items())
    assert {
        "backbone.backbone.patch_embed.convs.2.norm.running_var",
        "backbone.backbone.blocks.1.attn.qkv.bias",
        "backbone.backbone.rope_embed.periods",
        "backbone.projector.0.conv.weight",
        "encoder.encoder.0.layers.0.self_attn.in_proj_weight",
        "encoder.fpn_blocks.1.cv2.0.bottlenecks.1.conv2.norm.weight",
        "encoder.downsample_convs.0.0.cv2.conv.weight",
        "decoder.decoder.layers.1.cross_attn.num_points_scale",
        "decoder.decoder.layers.1.gateway.gate.weight",
        "decoder.decoder.segmentation_head.query_features_block.layers.2.bias",
        "decoder.dec_bbox_head.0.layers.2.bias",
    } <= set(loaded)
    with pytest.raises(SegrtError, match="of another shape") as refused:
        build(Request(find_model("ecseg-s"), SIZE, Weights("file", path), overrides=SMALL))
    assert "\n" not in str(refused.value)


def test_a_size_with_too_few_cells_is_refused_in_one_line() -> None:
    with pytest.raises(SegrtError, match=r"--size 96x96: ecseg-s chooses 300 queries, but .* size has 189 cells"):
        build(Request(find_model("ecseg-s"), (96, 96), Weights("random")))
