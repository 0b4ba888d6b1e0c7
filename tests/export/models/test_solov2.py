"""SOLOv2 against mmdetection's names and order of operations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from harness import check_export  # noqa: E402

from segrt.export.family import Request, Weights  # noqa: E402
from segrt.export.models.catalogue import find_model  # noqa: E402
from segrt.export.models.solov2 import build as solov2_build  # noqa: E402
from segrt.export.models.solov2.head import STRIDES, HeadOptions, MaskFeatures, with_coordinates  # noqa: E402
from segrt.export.models.solov2.network import SOLOv2, SOLOv2Heads, points_nms  # noqa: E402
from segrt.runtime.results import InstanceResult  # noqa: E402

SMALL = {"grids": (20, 16, 12, 8, 6), "channels": 64, "mask_channels": 64, "mask_hidden": 64}


def small_network() -> Any:
    return SOLOv2(18, HeadOptions(80, stacked=2, **SMALL)).eval()  # type: ignore[arg-type]


def test_the_weights_are_named_as_mmdetections() -> None:
    """Names and shapes as in mmdetection's solov2_r50_fpn: its SOLOV2Head, FPN, ResNet and mmcv's ConvModule."""
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in SOLOv2(50, HeadOptions(80)).state_dict().items()}
    expected = {
        "backbone.conv1.weight": (64, 3, 7, 7),
        "backbone.layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "backbone.layer4.2.bn3.running_var": (2048,),
        "neck.lateral_convs.3.conv.weight": (256, 2048, 1, 1),
        "neck.lateral_convs.0.conv.bias": (256,),
        "neck.fpn_convs.3.conv.weight": (256, 256, 3, 3),
        "mask_head.kernel_convs.0.conv.weight": (512, 258, 3, 3),
        "mask_head.kernel_convs.3.gn.weight": (512,),
        "mask_head.cls_convs.0.conv.weight": (512, 256, 3, 3),
        "mask_head.conv_cls.weight": (80, 512, 3, 3),
        "mask_head.conv_cls.bias": (80,),
        "mask_head.conv_kernel.weight": (256, 512, 3, 3),
        "mask_head.mask_feature_head.convs_all_levels.0.conv0.conv.weight": (128, 256, 3, 3),
        "mask_head.mask_feature_head.convs_all_levels.3.conv0.conv.weight": (128, 258, 3, 3),
        "mask_head.mask_feature_head.convs_all_levels.3.conv2.gn.bias": (128,),
        "mask_head.mask_feature_head.conv_pred.conv.weight": (256, 128, 1, 1),
        "mask_head.mask_feature_head.conv_pred.gn.weight": (256,),
    }
    assert {name: shapes[name] for name in expected} == expected
    assert not any(name.endswith(("kernel_convs.0.conv.bias", "conv_pred.conv.bias", "fc.weight")) for name in shapes)
    stacks = {name.split(".")[2] for name in shapes if name.startswith("mask_head.kernel_convs")}
    assert stacks == {"0", "1", "2", "3"}


def test_points_nms_keeps_cells_that_none_above_or_to_the_left_exceeds() -> None:
    scores = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    scores[0, 0, 4, 4] = scores[0, 0, 4, 5] = 2.0  # equals both stay
    found = points_nms(scores)
    for index in np.ndindex(*scores.shape):
        image, channel, y, x = index
        around = scores[image, channel, max(y - 1, 0) : y + 1, max(x - 1, 0) : x + 1]
        assert found[index] == (scores[index] if scores[index] >= around.max() else 0)


def test_coordinates_run_from_minus_one_to_one_x_first() -> None:
    found = with_coordinates(torch.zeros(1, 1, 3, 5))
    torch.testing.assert_close(found[0, 1], torch.tensor([[-1, -0.5, 0, 0.5, 1.0]] * 3))
    torch.testing.assert_close(found[0, 2], torch.tensor([[-1.0], [0], [1]]).expand(3, 5))


def test_mask_features_come_at_stride_4() -> None:
    levels = [torch.randn(1, 8, 32 >> level, 48 >> level) for level in range(5)]
    head = MaskFeatures(8, HeadOptions(3, mask_hidden=32, mask_channels=64))
    assert head(levels).shape == (1, 64, 32, 48)


def test_padding_is_zero_whatever_its_bytes_are() -> None:
    """Mmdetection pads the normalised picture with 0, which no byte is exactly."""
    core = SOLOv2Heads(small_network(), 50)
    pixels = torch.randn(1, 3, 96, 120, generator=torch.Generator().manual_seed(3))
    valid = torch.ones(1, 96, 120, dtype=torch.bool)
    valid[:, 70:], valid[:, :, 100:] = False, False
    zeros = pixels.where(valid[:, None], torch.zeros(()))
    with torch.no_grad():
        expected = core(zeros, torch.ones_like(valid))
        for found, wanted in zip(core(pixels, valid), expected, strict=True):
            torch.testing.assert_close(found, wanted, atol=0, rtol=0)


def test_the_chosen_cells_carry_their_own_masks() -> None:
    network = small_network()
    core = SOLOv2Heads(network, 50)
    pixels = torch.randn(2, 3, 96, 120, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        scores, class_ids, least_areas, masks = core(pixels, torch.ones(2, 96, 120, dtype=torch.bool))
        logits, kernels, features = network(pixels)
    assert masks.shape == (2, 50, 24, 32)
    for image in range(2):
        best = []
        for level, stride in enumerate(STRIDES):
            peaks = points_nms(torch.sigmoid(logits[level]))[image]
            for class_id, y, x in peaks.nonzero().tolist():
                best.append((float(peaks[class_id, y, x]), class_id, stride, kernels[level][image, :, y, x]))
        best = sorted(best, key=lambda one: -one[0])[:50]
        torch.testing.assert_close(scores[image], torch.tensor([one[0] for one in best]))
        for row in (0, 7, 49):
            same = [one for one in best if abs(one[0] - float(scores[image, row])) < 1e-7]
            expected = [torch.sigmoid(torch.einsum("e,ehw->hw", one[3], features[image])) for one in same]
            near = [float((mask - masks[image, row]).abs().max()) for mask in expected]
            chosen = same[int(np.argmin(near))]
            assert min(near) < 1e-5
            assert (chosen[1], chosen[2]) == (int(class_ids[image, row]), float(least_areas[image, row]))


def test_weights_from_a_file_of_mmdetection_load(tmp_path: Path) -> None:
    torch.manual_seed(4)
    network = small_network()
    torch.save({"meta": {}, "state_dict": network.state_dict()}, tmp_path / "solov2.pth")
    model = find_model("solov2-light-resnet18")
    request = Request(model, (96, 128), Weights("file", tmp_path / "solov2.pth"), overrides=SMALL)
    exportable = solov2_build.build(request)
    loaded = exportable.core.state_dict()
    assert all(torch.equal(loaded[f"network.{name}"], value) for name, value in network.state_dict().items())


def test_the_bundle_finds_what_the_description_finds(tmp_path: Path, photos: Path) -> None:
    checked = check_export(
        "solov2-light-resnet18",
        tmp_path,
        photos,
        size=(144, 192),
        overrides=SMALL,
        top_queries=300,
        weights=Weights("random", seed=2),
        least_objects=3,
    )
    assert checked.manifest.head("mask_probabilities").shape == (1, 300, 40, 48)
    assert [label.dataset_id for label in checked.manifest.labels][11:13] == [13, 14]
    for result in checked.results:
        assert isinstance(result, InstanceResult)
        assert len(set(result.class_ids)) >= 3
        assert (result.scores >= 0.3).all()
        assert np.ptp([mask.sum() for mask in result.masks]) > 1000
