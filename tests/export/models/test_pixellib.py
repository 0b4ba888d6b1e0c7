"""PixelLib's two networks: weights through a Keras file, static operators against obvious ones, bundles that verify.

`original_pixellib.py` compares them with PixelLib's own code, where TensorFlow is installed.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("h5py")

from harness import check_export  # noqa: E402
from keras_layout import save_as_keras  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torchvision.ops import nms  # noqa: E402

from segrt.export.family import Request, Weights  # noqa: E402
from segrt.export.models.catalogue import find_model  # noqa: E402
from segrt.export.models.maskrcnn.roi_pooling import Atlas  # noqa: E402
from segrt.export.models.pixellib_deeplab import build as deeplab_build  # noqa: E402
from segrt.export.models.pixellib_deeplab.xception_deeplab import Pyramid, XceptionBlock  # noqa: E402
from segrt.export.models.pixellib_maskrcnn import build as maskrcnn_build  # noqa: E402
from segrt.export.models.pixellib_maskrcnn.crop_pooling import CropPooling  # noqa: E402
from segrt.export.models.pixellib_maskrcnn.matterport_backbone import MatterportBackbone  # noqa: E402
from segrt.export.models.pixellib_maskrcnn.matterport_boxes import (  # noqa: E402
    anchors,
    best_places,
    keep_in_blocks,
)
from segrt.export.models.pixellib_maskrcnn.matterport_network import PictureWindow  # noqa: E402
from segrt.export.weights.keras_weights import keras_arrays  # noqa: E402
from segrt.runtime.decode.argmax import Argmax  # noqa: E402
from segrt.runtime.decode.paste_masks import PasteMasks  # noqa: E402
from segrt.runtime.errors import SegrtError  # noqa: E402
from segrt.runtime.preprocess.input_spec import InputSpec  # noqa: E402
from segrt.runtime.preprocess.picture import network_inputs, place  # noqa: E402
from segrt.runtime.results import InstanceResult, SemanticResult  # noqa: E402

DEEPLAB, MASKRCNN = "pixellib-deeplabv3plus-xception", "pixellib-maskrcnn-resnet101"
NARROW = {"middle_units": 1, "entry": (8, 8, 16, 16), "middle": 32, "exit": (32, 32, 48), "head": 16, "skip": 8}
SMALL = {
    "blocks": (1, 1, 2, 1),
    "width": 8,
    "channels": 16,
    "hidden": 64,
    "proposal_hidden": 32,
    "before": 200,
    "after": 60,
    "detections": 20,
}
RPN = {"rpn_model": ("rpn_conv_shared", "rpn_class_raw", "rpn_bbox_pred")}


def saved(name: str, size: tuple[int, int], overrides: Any, path: Path, **how: Any) -> Any:
    """Write random, calibrated weights as Keras does; return the exportable that has them."""
    build = deeplab_build.build if name == DEEPLAB else maskrcnn_build.build
    made = build(Request(find_model(name), size, Weights("random", seed=1), overrides=overrides))
    save_as_keras(made.core, path, **how)
    return made


@pytest.mark.parametrize(
    ("name", "layers", "shapes"),
    [
        (
            DEEPLAB,
            {"entry_flow_conv1_1", "entry_flow_block2_shortcut_BN", "middle_flow_unit_16_separable_conv3_pointwise",
             "exit_flow_block2_separable_conv3_depthwise_BN", "aspp3_depthwise", "image_pooling_BN", "aspp0",
             "concat_projection", "feature_projection0", "decoder_conv1_pointwise_BN"},
            {"entry_flow_conv1_2/kernel": (3, 3, 32, 64), "aspp1_depthwise/depthwise_kernel": (3, 3, 2048, 1),
             "middle_flow_unit_8_separable_conv2_pointwise/kernel": (1, 1, 728, 728),
             "feature_projection0/kernel": (1, 1, 256, 48), "decoder_conv0_pointwise/kernel": (1, 1, 304, 256),
             "concat_projection/kernel": (1, 1, 1280, 256), "logits_semantic/kernel": (1, 1, 256, 21)},
        ),
        (
            MASKRCNN,
            {"conv1", "bn_conv1", "res2a_branch1", "bn3d_branch2c", "res4w_branch2b", "bn5c_branch2a", "fpn_c5p5",
             "fpn_p2", "rpn_model", "mrcnn_class_bn2", "mrcnn_mask_bn4", "mrcnn_mask_deconv"} - {"rpn_model"},
            {"conv1/kernel": (7, 7, 3, 64), "res4b_branch2a/kernel": (1, 1, 1024, 256), "res5a_branch1/bias": (2048,),
             "fpn_c2p2/kernel": (1, 1, 256, 256), "rpn_conv_shared/kernel": (3, 3, 256, 512),
             "rpn_class_raw/kernel": (1, 1, 512, 6), "rpn_bbox_pred/kernel": (1, 1, 512, 12),
             "mrcnn_class_conv1/kernel": (7, 7, 256, 1024), "mrcnn_class_logits/kernel": (1024, 81),
             "mrcnn_bbox_fc/kernel": (1024, 324), "mrcnn_mask_deconv/kernel": (2, 2, 256, 256),
             "mrcnn_mask/kernel": (1, 1, 256, 81)},
        ),
    ],
)  # fmt: skip
def test_arrays_are_called_as_in_the_published_files(name: str, layers: set[str], shapes: Any) -> None:
    build = deeplab_build.build if name == DEEPLAB else maskrcnn_build.build
    with torch.device("meta"):
        core = build(Request(find_model(name), find_model(name).size, Weights("random"))).core
        arrays = {key: array.shape for key, array in keras_arrays(core).items()}
    assert len(arrays) == {DEEPLAB: 732, MASKRCNN: 690}[name]  # what PixelLib's own networks save
    assert layers <= {key.rpartition("/")[0] for key in arrays}
    assert {key: arrays[key] for key in shapes} == shapes


def test_the_semantic_file_becomes_a_bundle(tmp_path: Path, photos: Path) -> None:
    given = saved(DEEPLAB, (96, 128), NARROW, tmp_path / "voc.h5")
    checked = check_export(
        DEEPLAB, tmp_path, photos, size=(96, 128), overrides=NARROW, weights=Weights("file", tmp_path / "voc.h5")
    )
    assert checked.manifest.decode == Argmax(align_corners=True)
    assert checked.manifest.head("semantic_logits").shape == ("N", 21, 24, 32) or checked.manifest.head(
        "semantic_logits"
    ).shape == (1, 21, 24, 32)
    assert [spec.role for spec in checked.manifest.inputs] == ["image", "valid_mask"]
    assert checked.report.parity.agreement >= 0.999
    for result in checked.results:
        assert isinstance(result, SemanticResult)
    assert given.labels[15].name == "person"


def test_padding_is_zero_whatever_its_grey_level() -> None:
    made = deeplab_build.build(Request(find_model(DEEPLAB), (64, 64), Weights("random"), overrides=NARROW))
    pixels, mask = torch.randn(1, 3, 64, 64), torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[:, :40] = True
    padded = torch.cat([pixels[:, :, :40], torch.zeros(1, 3, 24, 64)], 2)
    with torch.no_grad():
        torch.testing.assert_close(made.core(pixels, mask), made.core(padded, torch.ones_like(mask)))


def test_the_skip_has_no_relu_and_the_pyramid_has_two() -> None:
    block = XceptionBlock("entry_flow_block2", 4, (4, 4, 4), shortcut="conv", stride=2).eval()
    with torch.no_grad():
        result, skip = block(torch.randn(1, 4, 16, 16))
    assert result.shape == (1, 4, 8, 8)
    assert skip.shape == (1, 4, 16, 16)
    assert (skip < 0).any()
    names = [type(layer).__name__ for layer in Pyramid(4, 4).dilated[0]]
    assert names == ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU"]


def test_the_stem_pads_behind_as_tensorflow_does() -> None:
    """TensorFlow's "same" with stride 2 on an even side: output i reads inputs 2 i to 2 i + 2."""
    made = deeplab_build.build(Request(find_model(DEEPLAB), (64, 64), Weights("random"), overrides=NARROW))
    stem = made.core.backbone.stem[0]
    with torch.no_grad():
        stem.weight.zero_()
        stem.weight[:, 0, 0, 0] = 1.0
        pixels = torch.arange(64.0).expand(1, 3, 64, 64)
        read = stem(F.pad(pixels, (0, 1, 0, 1)))[0, 0, 0]
    assert read.tolist() == [2.0 * index for index in range(32)]


def test_the_instance_file_becomes_a_bundle(tmp_path: Path, photos: Path) -> None:
    saved(MASKRCNN, (128, 192), SMALL, tmp_path / "coco.h5", nested=RPN, whole_model=True)
    checked = check_export(
        MASKRCNN, tmp_path, photos, size=(128, 192), overrides=SMALL, weights=Weights("file", tmp_path / "coco.h5")
    )
    rule = checked.manifest.decode
    assert rule == PasteMasks(score_threshold=0.7, first_class=1, paste_rule="matterport")
    assert [head.shape for head in checked.manifest.heads] == [(1, 20, 4), (1, 20), (1, 20), (1, 20, 28, 28)]
    assert checked.manifest.labels[79].name == "toothbrush"
    for result in checked.results:
        assert isinstance(result, InstanceResult)
        assert np.array_equal(result.boxes, np.round(result.boxes))
        assert len(set(result.class_ids)) > 1


def test_a_file_of_the_other_network_is_refused(tmp_path: Path) -> None:
    saved(MASKRCNN, (64, 64), SMALL, tmp_path / "coco.h5", nested=RPN)
    request = Request(find_model(DEEPLAB), (64, 64), Weights("file", tmp_path / "coco.h5"), overrides=NARROW)
    with pytest.raises(SegrtError, match=r"coco.h5: the weights do not fit: \d+ missing \(aspp0/kernel, .* unexpected"):
        deeplab_build.build(request)
    with pytest.raises(SegrtError, match=r"--weights .*none.h5: there is no such file; give a .h5 file"):
        deeplab_build.build(replace(request, weights=Weights("file", tmp_path / "none.h5")))


def test_anchors_are_matterports() -> None:
    """By hand: three shapes at each cell, around whole multiples of the stride; the last pixel is included."""
    found = anchors((128, 64))
    assert len(found) == 3 * sum((128 // stride) * (64 // stride) for stride in (4, 8, 16, 32, 64))
    second = found[3:6]  # row 0, column 1 of the finest map
    wide, high = 32 * np.sqrt(0.5), 32 / np.sqrt(0.5)
    np.testing.assert_allclose(second[0], [4 - wide / 2, -high / 2, 4 + wide / 2 - 1, high / 2 - 1], rtol=1e-6)
    np.testing.assert_allclose(second[1], [-12, -16, 19, 15])
    np.testing.assert_allclose(found[-2], [-256, 64 - 256, 255, 64 + 255])


def test_the_best_are_found_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segrt.export.models.pixellib_maskrcnn.matterport_boxes._MOST_AT_ONCE", 7)
    scores = torch.rand(50, generator=torch.Generator().manual_seed(1))
    assert torch.equal(best_places(scores, 20), torch.sort(scores, descending=True).indices[:20])


@pytest.mark.parametrize("block", [3, 10, 64])
def test_suppression_in_blocks_is_greedy_suppression(block: int) -> None:
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        corner = torch.rand(50, 2, generator=generator) * 60
        boxes = torch.cat([corner, corner + 5 + torch.rand(50, 2, generator=generator) * 40], 1)
        candidate = torch.rand(50, generator=generator) < 0.9
        kept = keep_in_blocks(boxes, candidate, 0.4, block)
        alive = torch.nonzero(candidate).flatten()
        expected = alive[nms(boxes[alive], torch.arange(50.0, 0, -1)[alive], 0.4)]
        assert torch.nonzero(kept).flatten().tolist() == sorted(expected.tolist())
        assert 5 < len(expected) < 45


def test_boxes_are_read_as_crop_and_resize_reads_them() -> None:
    """TensorFlow's definition: output i lies at y1 (h - 1) + i (y2 - y1) (h - 1) / (n - 1) of a map of h rows."""
    size, generator = (128, 192), torch.Generator().manual_seed(1)
    levels = [torch.randn(1, 3, size[0] >> step, size[1] >> step, generator=generator) for step in (2, 3, 4, 5)]
    atlas = Atlas([(level.shape[2], level.shape[3]) for level in levels])
    boxes = torch.tensor([[3.0, 5, 40, 61], [0, 0, 191, 127], [100, 20, 101, 22], [60, 3, 170, 120], [7, 7, 7, 7]])
    found = CropPooling(atlas, size, 5)(atlas(levels), boxes)
    for index, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        # Level 4 + round(log2(sqrt(h w) / (224 / sqrt(area)))) of coordinates from 0 to 1.
        area = max((y2 - y1) / 127 * (x2 - x1) / 191, 1e-12)
        level = int(np.clip(4 + np.round(np.log2(np.sqrt(area) / (224 / np.sqrt(128 * 192)))), 2, 5)) - 2
        there = levels[level][0].numpy()
        for i in range(5):
            for j in range(5):
                y = (y1 / 127 + i * (y2 - y1) / 127 / 4) * (there.shape[1] - 1)
                x = (x1 / 191 + j * (x2 - x1) / 191 / 4) * (there.shape[2] - 1)
                y0, x0 = min(int(y), there.shape[1] - 2), min(int(x), there.shape[2] - 2)
                down, across = y - y0, x - x0
                above = there[:, y0, x0] * (1 - across) + there[:, y0, x0 + 1] * across
                below = there[:, y0 + 1, x0] * (1 - across) + there[:, y0 + 1, x0 + 1] * across
                np.testing.assert_allclose(found[index, :, i, j], above * (1 - down) + below * down, atol=2e-4)


def test_the_picture_is_found_in_its_mask() -> None:
    mask = torch.zeros(1, 40, 60, dtype=torch.bool)
    mask[:, 5:31, 17:44] = True
    assert PictureWindow()(mask).tolist() == [17.0, 5.0, 43.0, 30.0]
    assert PictureWindow()(torch.ones_like(mask)).tolist() == [0.0, 0.0, 59.0, 39.0]


def test_the_backbone_strides_in_a_block_s_first_convolution() -> None:
    backbone = MatterportBackbone((1, 2, 1, 1), 4, 8)
    layers = dict(backbone.named_modules())
    strides = {
        name.rpartition(".")[2]: layer.stride
        for name, layer in layers.items()
        if "branch" in name and hasattr(layer, "stride")
    }
    assert strides["res3a_branch2a"] == strides["res3a_branch1"] == (2, 2)
    assert strides["res3a_branch2b"] == strides["res2a_branch2a"] == strides["res3b_branch2a"] == (1, 1)
    with torch.no_grad():
        assert [level.shape[2:] for level in backbone(torch.zeros(1, 3, 128, 64))] == [
            (32, 16), (16, 8), (8, 4), (4, 2), (2, 1),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "size", "shown"),
    [
        ((480, 640), (1024, 1024), (768, 1024)),
        ((500, 500), (1024, 1024), (800, 800)),
        ((900, 1000), (1024, 1024), (900, 1000)),
        ((1200, 1100), (1024, 1024), (1024, 939)),
        ((3000, 4000), (1024, 1024), (768, 1024)),
        ((480, 640), (512, 512), (384, 512)),
        ((500, 500), (512, 512), (512, 512)),
    ],
)
def test_pictures_come_in_at_pixellibs_size(source: Any, size: Any, shown: Any) -> None:
    with torch.device("meta"):
        made = maskrcnn_build.build(Request(find_model(MASKRCNN), size, Weights("random"), overrides=SMALL))
    top, left, bottom, right = place(source, size, made.resize).window
    assert (bottom - top, right - left) == shown
    assert (top, left) == ((size[0] - shown[0]) // 2, (size[1] - shown[1]) // 2)
    picture = np.random.default_rng(1).integers(0, 256, (*source, 3), dtype=np.uint8)
    spec = InputSpec("image", "uint8", (1, *size, 3), resize=made.resize)
    arrays, _ = network_inputs([spec], picture)
    wanted = maskrcnn_build.framework_pixels(picture, size) + 255 * np.array(maskrcnn_build.MEAN)[:, None, None]
    np.testing.assert_allclose(arrays["image"][0].transpose(2, 0, 1), wanted, atol=1e-3)
