"""YOSO: its deformable convolution, its merge, its names; `original_yoso.py` compares it with its authors' modules."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from harness import EVERY, Checked, check_export  # noqa: E402

from segrt.export.convert.exporting import build  # noqa: E402
from segrt.export.family import Request, Weights  # noqa: E402
from segrt.export.models.catalogue import find_model  # noqa: E402
from segrt.export.models.shared.query_core import HEADS  # noqa: E402
from segrt.export.models.yoso.authors_merge import merged  # noqa: E402
from segrt.export.models.yoso.deformable_convolution import DeformableConvolution  # noqa: E402
from segrt.export.models.yoso.dynamic_head import DynamicConvolution, HeadOptions  # noqa: E402
from segrt.runtime.decode.merge_queries import MergeQueries, merge_queries  # noqa: E402
from segrt.runtime.decode.rule import Context  # noqa: E402
from segrt.runtime.errors import SegrtError  # noqa: E402
from segrt.runtime.preprocess.geometry import Geometry  # noqa: E402
from segrt.runtime.results import Label, PanopticResult  # noqa: E402

SIZE = (128, 160)
SMALL: dict[str, Any] = {"blocks": (1, 1, 1, 1), "width": 16, "queries": 40, "channels": 64}


@pytest.mark.parametrize(("height", "width"), [(9, 13), (1, 5), (4, 1)])
def test_a_deformable_convolution_is_torchvisions_to_the_last_digits(height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(height)
    ours = DeformableConvolution(6, 4).double()
    features = torch.randn(2, 6, height, width, generator=generator, dtype=torch.float64)
    # Some taps leave the map, and some lie exactly on its edge.
    offsets = (torch.randn(2, 18, height, width, generator=generator, dtype=torch.float64) * 3).round(decimals=1)
    weights = torch.rand(2, 9, height, width, generator=generator, dtype=torch.float64)
    expected = torchvision.ops.deform_conv2d(features, offsets, ours.weight, padding=1, mask=weights)
    torch.testing.assert_close(ours(features, offsets, weights), expected, atol=1e-12, rtol=1e-10)


def test_dynamic_kernels_are_those_of_a_convolution_for_each_picture() -> None:
    options = HeadOptions(3, queries=5, channels=16)
    layer = DynamicConvolution(options)
    queries, values = torch.randn(2, 2, 5, 16, generator=torch.Generator().manual_seed(1))
    weights = layer.weight_linear(queries)
    expected = []
    for index in range(2):
        along = torch.nn.functional.conv1d(values[index][None], weights[index, :, None, :3], groups=5, padding="same")
        expected.append(torch.nn.functional.conv1d(along.relu(), weights[index, :, 3:, None])[0])
    torch.testing.assert_close(layer(queries, values), layer.norm(torch.stack(expected)), atol=1e-5, rtol=1e-5)


def _random_scene(seed: int, size: tuple[int, int]) -> tuple[Any, Any, tuple[Label, ...]]:
    generator = torch.Generator().manual_seed(seed)
    class_logits = torch.randn(14, 5, generator=generator) * 4
    coarse = torch.randn(1, 14, 4, 5, generator=generator) * 10 - 10
    masks = torch.nn.functional.interpolate(coarse, size, mode="bilinear")[0]
    labels = tuple(Label(f"class {index}", index, index < 2, (0, 0, index)) for index in range(4))
    return class_logits, masks, labels


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("overlap", [0.8, 0.5])
def test_the_rule_finds_the_segments_of_the_authors_merge(seed: int, overlap: float) -> None:
    class_logits, masks, labels = _random_scene(seed, (16, 20))
    geometry = Geometry(source_size=(75, 90), network_size=(64, 80), window=(0.0, 0.0, 64.0, 77.0))
    rule = MergeQueries("yoso", 0.4, overlap)
    found = merge_queries(
        {"class_logits": class_logits.numpy(), "mask_logits": masks.numpy()}, geometry, Context(rule, labels, 1)
    )
    expected = merged(class_logits, masks, geometry, rule, labels)
    assert len(expected.segments) >= 2
    assert [(one.class_id, one.isthing) for one in found.segments] == [
        (one.class_id, one.isthing) for one in expected.segments
    ]
    assert (found.segment_ids == expected.segment_ids).mean() > 0.9995


@pytest.mark.parametrize(("left", "overlap"), [(6, 0.6), (7, 0.7), (8, 0.8), (9, 0.9)])
def test_thresholds_that_float32_does_not_hold_are_met_exactly(left: int, overlap: float) -> None:
    labels = (Label("a", 0, True, (0, 0, 0)), Label("b", 1, True, (1, 1, 1)))
    class_logits = np.array([[9, 0, 0], [0, 20, 0]], np.float32)
    masks = np.full((2, 1, 10), -20, np.float32)
    masks[0], masks[1, :, left:] = 10, 20
    geometry = Geometry(source_size=(1, 10), network_size=(1, 10), window=(0.0, 0.0, 1.0, 10.0))
    for threshold, stands in ((overlap, True), (overlap + 0.001, False)):
        context = Context(MergeQueries("yoso", 0.5, threshold), labels, 1)
        found = merge_queries({"class_logits": class_logits, "mask_logits": masks}, geometry, context)
        assert [one.class_id for one in found.segments] == ([0, 1] if stands else [1])


@pytest.mark.parametrize(("overlap", "stands"), [(0.5, True), (0.51, False)])
def test_a_query_stands_with_exactly_the_threshold_of_its_mask_left(overlap: float, stands: bool) -> None:
    labels = (Label("a", 0, True, (0, 0, 0)), Label("b", 1, True, (1, 1, 1)))
    class_logits = np.array([[9, 0, 0], [0, 20, 0]], np.float32)
    masks = np.full((2, 4, 4), -20, np.float32)
    masks[0], masks[1, :2] = 10, 20  # the second one takes half of the first one's
    geometry = Geometry(source_size=(4, 4), network_size=(4, 4), window=(0.0, 0.0, 4.0, 4.0))
    rule = MergeQueries("yoso", 0.5, overlap)
    context = Context(rule, labels, 1)
    found = merge_queries({"class_logits": class_logits, "mask_logits": masks}, geometry, context)
    expected = merged(torch.from_numpy(class_logits), torch.from_numpy(masks), geometry, rule, labels)
    assert (found.segment_ids == expected.segment_ids).all()
    assert (found.segment_ids == 1).sum() == 8
    assert [one.class_id for one in found.segments] == ([0, 1] if stands else [1])
    eomt = Context(MergeQueries("eomt", 0.5, 0.5), labels, 1)
    other = merge_queries({"class_logits": class_logits, "mask_logits": masks}, geometry, eomt)
    assert [one.class_id for one in other.segments] == [1]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Checked:
    return check_export("yoso-resnet50-coco", tmp_path_factory.mktemp("yoso"), photos, size=SIZE, overrides=SMALL)


def test_the_bundle_equals_the_network_with_its_authors_merge(checked: Checked) -> None:
    assert checked.manifest.decode == MergeQueries("yoso", 0.7)
    assert tuple((head.name, head.role) for head in checked.manifest.heads) == HEADS
    assert [head.shape for head in checked.manifest.heads] == [(1, 40, 134), (1, 40, 32, 40)]
    assert checked.report.parity.agreement > 0.999
    for result in checked.results:
        assert isinstance(result, PanopticResult)
        assert len({segment.class_id for segment in result.segments}) >= 2


@EVERY
@pytest.mark.parametrize("name", ["yoso-resnet50-coco", "yoso-resnet50-cityscapes"])
def test_whole_networks_export(name: str, tmp_path: Path, photos: Path) -> None:
    check_export(name, tmp_path, photos, size=(512, 800) if name.endswith("coco") else (512, 1024), least_objects=1)


def test_checkpoints_load_without_what_training_adds(tmp_path: Path) -> None:
    model, overrides = find_model("yoso-resnet50-cityscapes"), SMALL
    core = build(Request(model, SIZE, Weights("random", seed=2), overrides=overrides)).core
    path = tmp_path / "yoso.pth"
    training = {
        "yoso_head.criterion.empty_weight": torch.ones(20),
        "yoso_head.mask_heads.0.cls_fcs.0.weight": torch.ones(256, 256),
        "yoso_head.mask_heads.0.fc_cls.bias": torch.ones(20),
    }
    torch.save({"model": {**core.state_dict(), **training}, "iteration": 5}, path)
    request = Request(model, SIZE, Weights("file", path), overrides=overrides)
    loaded = build(request).core.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in core.state_dict().items())
    assert {
        "backbone.stem.conv1.norm.weight",
        "backbone.res4.0.shortcut.weight",
        "yoso_neck.deconv.deform_conv2.dcn.weight",
        "yoso_neck.deconv.conv_a5.weight",
        "yoso_head.mask_heads.1.s_atten.in_proj_weight",
        "yoso_head.mask_heads.1.ffn.layers.0.0.weight",
        "yoso_head.mask_heads.1.cls_fcs.7.weight",
        "yoso_head.mask_heads.0.f_atten.weight_linear.bias",
    } <= set(loaded)
    with pytest.raises(SegrtError, match="the weights do not fit: 18 missing") as refused:
        build(Request(find_model("yoso-resnet50-coco"), SIZE, Weights("file", path), overrides={**SMALL, "layers": 5}))
    assert "\n" not in str(refused.value)
