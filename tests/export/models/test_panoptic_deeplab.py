"""Panoptic-DeepLab: its names are those of the published state dicts, its segments those of detectron2's arithmetic."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from harness import check_export

from segrt.export.family import Request, Weights
from segrt.export.models.catalogue import find_model
from segrt.export.models.panoptic_deeplab.build import build
from segrt.export.models.panoptic_deeplab.network import AveragePool, Config, PanopticDeepLab
from segrt.runtime.authoring.agreement import agreement
from segrt.runtime.decode.group_centers import GroupCenters, group_centers
from segrt.runtime.decode.rule import Context
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import read_image
from segrt.runtime.preprocess.picture import place
from segrt.runtime.results import PanopticResult

SHALLOW = {"blocks": (1, 1, 1, 1)}
# From detectron2's state dicts, one of each kind: name and shape with plain, and with separable convolutions.
PUBLISHED: dict[str, tuple[tuple[int, ...] | None, tuple[int, ...] | None]] = {
    "backbone.stem.conv1.weight": ((64, 3, 3, 3), (64, 3, 3, 3)),
    "backbone.stem.conv3.norm.running_var": ((128,), (128,)),
    "backbone.res2.0.shortcut.weight": ((256, 128, 1, 1), (256, 128, 1, 1)),
    "backbone.res4.5.conv2.norm.bias": ((256,), (256,)),
    "backbone.res5.2.conv3.weight": ((2048, 512, 1, 1), (2048, 512, 1, 1)),
    "sem_seg_head.decoder.res2.project_conv.weight": ((32, 256, 1, 1), (32, 256, 1, 1)),
    "sem_seg_head.decoder.res2.fuse_conv.0.weight": ((256, 288, 3, 3), None),
    "sem_seg_head.decoder.res2.fuse_conv.depthwise.weight": (None, (288, 1, 5, 5)),
    "sem_seg_head.decoder.res3.fuse_conv.1.norm.weight": ((256,), None),
    "sem_seg_head.decoder.res3.fuse_conv.pointwise.weight": (None, (256, 320, 1, 1)),
    "sem_seg_head.decoder.res5.project_conv.convs.2.weight": ((256, 2048, 3, 3), None),
    "sem_seg_head.decoder.res5.project_conv.convs.2.depthwise.norm.weight": (None, (2048,)),
    "sem_seg_head.decoder.res5.project_conv.convs.4.1.bias": ((256,), (256,)),
    "sem_seg_head.decoder.res5.project_conv.project.weight": ((256, 1280, 1, 1), (256, 1280, 1, 1)),
    "sem_seg_head.head.1.weight": ((256, 256, 3, 3), None),
    "sem_seg_head.head.pointwise.norm.running_mean": (None, (256,)),
    "sem_seg_head.predictor.bias": ((19,), (19,)),
    "ins_embed_head.decoder.res2.project_conv.norm.weight": ((32,), (32,)),
    "ins_embed_head.center_head.1.weight": ((32, 128, 3, 3), (32, 128, 3, 3)),
    "ins_embed_head.center_predictor.weight": ((1, 32, 1, 1), (1, 32, 1, 1)),
    "ins_embed_head.offset_head.0.weight": ((128, 128, 3, 3), None),
    "ins_embed_head.offset_head.depthwise.weight": (None, (128, 1, 5, 5)),
    "ins_embed_head.offset_predictor.bias": ((2,), (2,)),
}


@pytest.mark.parametrize(("separable", "tensors"), [(False, 508), (True, 544)])
def test_tensors_are_called_as_in_the_published_files(separable: bool, tensors: int) -> None:
    with torch.device("meta"):
        own = {
            name: tuple(tensor.shape)
            for name, tensor in PanopticDeepLab(Config(separable=separable)).state_dict().items()
        }
    assert len(own) == tensors
    for name, shapes in PUBLISHED.items():
        assert own.get(name) == shapes[separable], name


@pytest.mark.parametrize("window", [(8, 12), (24, 12), (40, 12), (24, 40), (64, 64)])
def test_windows_no_larger_than_the_map_are_averaged(window: tuple[int, int]) -> None:
    features = torch.randn(1, 4, 24, 40, generator=torch.Generator().manual_seed(1))
    kernel = (min(24, window[0]), min(40, window[1]))
    expected = torch.nn.functional.avg_pool2d(features, kernel, stride=1)
    torch.testing.assert_close(AveragePool(window)(features), expected, rtol=0, atol=1e-6)


def test_the_coco_network_exports_as_detectron2_computes_it(tmp_path: Path, photos: Path) -> None:
    # Windows of 4x4 cells on a map of 6x8: the pyramid's pooling slides, as at 1024x2048 after training on 512x1024.
    overrides = {**SHALLOW, "train_size": (64, 64), "nms_kernel": 15, "stuff_area_limit": 400}
    name = "panoptic-deeplab-resnet52-dsconv-coco"
    checked = check_export(name, tmp_path, photos, size=(96, 128), overrides=overrides, least_objects=6)
    assert checked.manifest.decode == GroupCenters(nms_kernel=15, stuff_area_limit=400, processed_size="network")
    assert checked.report.parity.agreement > 0.999
    assert {head.role: head.shape for head in checked.manifest.heads} == {
        "semantic_logits": (1, 133, 24, 32),
        "center_heatmap": (1, 1, 24, 32),
        "offsets": (1, 2, 24, 32),
    }
    for result in checked.results:
        assert isinstance(result, PanopticResult)
        assert len({segment.class_id for segment in result.segments}) > 3
        assert sum(segment.isthing for segment in result.segments) > 2


def test_at_the_network_s_own_size_the_segments_are_the_same_pixel_by_pixel(photos: Path) -> None:
    model = find_model("panoptic-deeplab-resnet52-cityscapes")
    exportable = build(Request(model, (96, 160), Weights("random", seed=3), overrides=SHALLOW))
    for path in sorted(photos.iterdir()):
        image = read_image(path)[40:136, 60:220].copy()
        geometry = place((96, 160), (96, 160), exportable.resize)
        assert exportable.framework_pixels is not None
        pixels = torch.from_numpy(exportable.framework_pixels(image))[None]
        theirs = exportable.framework_result(pixels, None, geometry)
        with torch.no_grad():
            heads = dict(zip([role for _, role in exportable.heads], exportable.core(pixels), strict=True))
        arrays = {role: head[0].numpy() for role, head in heads.items()}
        ours = group_centers(arrays, geometry, Context(exportable.decode, exportable.labels))
        assert isinstance(theirs, PanopticResult)
        assert len(theirs.segments) > 3
        assert agreement(theirs, ours) > 0.9995
        described = [[(one.class_id, one.isthing) for one in result.segments] for result in (theirs, ours)]  # type: ignore[union-attr]
        assert described[0] == described[1]
        scores = [[one.score for one in result.segments] for result in (theirs, ours)]  # type: ignore[union-attr]
        np.testing.assert_allclose(*scores, atol=1e-5)


def test_a_pickle_of_detectron2_is_loaded_and_a_foreign_one_refused(tmp_path: Path) -> None:
    model = find_model("panoptic-deeplab-resnet50-cityscapes")
    network = PanopticDeepLab(Config(blocks=(1, 1, 1, 1), deep_stem=False, stride_in_1x1=True, train_size=(1024, 2048)))
    found = {name: tensor.numpy() for name, tensor in network.state_dict().items() if "num_batches" not in name}
    found["pixel_mean"] = np.zeros((3, 1, 1), np.float32)
    path = tmp_path / "model_final_123abc.pkl"
    path.write_bytes(pickle.dumps({"model": found, "__author__": "detectron2"}))
    exportable = build(Request(model, (64, 64), Weights("file", path), overrides=SHALLOW))
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for mine, original in zip(exportable.core(pixels), network.eval()(pixels), strict=True):
            torch.testing.assert_close(mine, original, rtol=0, atol=0)
    assert exportable.source.weights.startswith("model_final_123abc.pkl")
    del found["ins_embed_head.center_predictor.bias"]
    path.write_bytes(pickle.dumps({"model": found}))
    with pytest.raises(SegrtError, match=r"1 missing \(ins_embed_head.center_predictor.bias\)"):
        build(Request(model, (64, 64), Weights("file", path), overrides=SHALLOW))
