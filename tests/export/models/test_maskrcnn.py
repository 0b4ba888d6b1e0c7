"""Mask R-CNN with static shapes against torchvision's operators, and its bundle against torchvision's network."""

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from harness import EVERY, check_export  # noqa: E402
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone  # noqa: E402
from torchvision.ops import MultiScaleRoIAlign, box_iou, nms  # noqa: E402

from segrt.export.family import Request, Weights  # noqa: E402
from segrt.export.graph.tracing import ByteInput, input_specs  # noqa: E402
from segrt.export.models.catalogue import find_model  # noqa: E402
from segrt.export.models.maskrcnn import build as maskrcnn_build  # noqa: E402
from segrt.export.models.maskrcnn.boxes import overlaps_above  # noqa: E402
from segrt.export.models.maskrcnn.network import StaticMaskRCNN  # noqa: E402
from segrt.export.models.maskrcnn.roi_pooling import Atlas, RoIPooling  # noqa: E402
from segrt.export.models.maskrcnn.suppression import greedy_keep  # noqa: E402
from segrt.export.weights.random_weights import seeded  # noqa: E402
from segrt.runtime import open_bundle  # noqa: E402
from segrt.runtime.authoring.matched_share import matched_share  # noqa: E402
from segrt.runtime.decode.paste_masks import paste_masks  # noqa: E402
from segrt.runtime.decode.rule import Context  # noqa: E402
from segrt.runtime.errors import SegrtError  # noqa: E402
from segrt.runtime.files.images import read_image  # noqa: E402
from segrt.runtime.preprocess.geometry import Geometry  # noqa: E402
from segrt.runtime.preprocess.picture import network_inputs  # noqa: E402

SMALL = {"rpn_pre_nms_top_n_test": 200, "rpn_post_nms_top_n_test": 60, "candidates": 300, "box_detections_per_img": 25}


def random_boxes(count: int, seed: int, extent: float = 100.0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * extent
    return torch.cat([corner, corner + torch.rand(count, 2, generator=generator) * extent * 0.4], 1)


def kept(boxes: Any, threshold: float, candidate: Any = None) -> list[int]:
    """The boxes that the static suppression keeps; they come by descending score."""
    candidate = torch.ones(len(boxes), dtype=torch.bool) if candidate is None else candidate
    keep: list[int] = greedy_keep(overlaps_above(boxes, threshold)[None], candidate[None])[0].nonzero()[:, 0].tolist()
    return keep


def kept_by_torchvision(boxes: Any, threshold: float) -> list[int]:
    return sorted(nms(boxes, torch.linspace(1, 0.1, len(boxes)), threshold).tolist())


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("seed", range(5))
def test_suppression_keeps_what_torchvision_keeps(seed: int, threshold: float) -> None:
    boxes = random_boxes(150, seed)
    assert kept(boxes, threshold) == kept_by_torchvision(boxes, threshold)


@pytest.mark.parametrize("step", [1.0, 2.0, 3.0])
def test_suppression_is_exact_on_a_chain_as_long_as_the_list(step: float) -> None:
    """Each box stands or falls with the one before it: no fixed, smaller number of steps would do."""
    left = torch.arange(400) * step
    boxes = torch.stack([left, torch.zeros(400), left + 10, torch.full((400,), 10.0)], 1)
    expected = kept_by_torchvision(boxes, 0.5)
    assert 400 // 5 < len(expected) < 400
    assert kept(boxes, 0.5) == expected


def test_suppression_of_many_lists_and_of_boxes_that_take_no_part() -> None:
    lists = torch.stack([random_boxes(60, seed) for seed in range(3)])
    candidate = torch.rand(3, 60, generator=torch.Generator().manual_seed(9)) > 0.3
    keep = greedy_keep(overlaps_above(lists, 0.5), candidate)
    for boxes, takes_part, result in zip(lists, candidate, keep, strict=True):
        places = takes_part.nonzero()[:, 0]
        expected = places[torch.tensor(kept_by_torchvision(boxes[takes_part], 0.5))].tolist()
        assert result.nonzero()[:, 0].tolist() == expected


@pytest.mark.parametrize("output", [7, 14])
def test_pooling_reads_the_levels_as_torchvision_does(output: int) -> None:
    height, width = 160, 224
    generator = torch.Generator().manual_seed(output)
    sizes = [(height // stride, width // stride) for stride in (4, 8, 16, 32)]
    levels = [torch.randn(1, 3, *size, generator=generator) for size in sizes]
    boxes = torch.cat(
        [
            random_boxes(60, 1, 120.0).clamp(max=torch.tensor([width, height, width, height])),
            # A whole picture, points and lines at the corners, sizes at the bounds between levels.
            torch.tensor(
                [
                    [0, 0, width, height],
                    [0, 0, 0.5, 0.5],
                    [width - 0.5, height - 0.5, width, height],
                    [width, height, width, height],
                    [0, height - 1, width, height],
                    [10, 10, 122, 122],
                    [10, 10, 121.9, 121.9],
                ]
            ),
        ]
    )
    pooling = MultiScaleRoIAlign(["0", "1", "2", "3"], output, 2)
    expected = pooling({str(index): level for index, level in enumerate(levels)}, [boxes], [(height, width)])
    atlas = Atlas(sizes)
    found = RoIPooling(atlas, 4, output)(atlas(levels), boxes)
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)
    assert len({float(value) for value in found[:, 0, 0, 0]}) > 50


@pytest.mark.parametrize("name", ["maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2"])
def test_the_static_network_finds_what_torchvision_finds(name: str) -> None:
    """Also with a picture that does not fill the input, and with fewer objects than places for them."""
    size, inner = (128, 160), (110, 150)
    request = Request(find_model(name), size, Weights("random"), overrides={**SMALL, "backbone": "resnet18"})
    exportable = maskrcnn_build.build(request)
    assert isinstance(exportable.core, StaticMaskRCNN)
    pixels = torch.randn(1, 3, 8, 10, generator=torch.Generator().manual_seed(5))
    pixels = torch.nn.functional.interpolate(pixels, size, mode="bicubic")
    mask = torch.zeros(1, *size, dtype=torch.bool)
    mask[:, : inner[0], : inner[1]] = True
    with torch.no_grad():
        boxes, scores, class_ids, masks = (head[0].numpy() for head in exportable.core(pixels, mask))
    result: Any = exportable.framework_result(pixels, mask, Geometry(inner, size, (0, 0, *inner)))
    count = len(result)
    assert 5 < count <= 25
    assert len(set(result.class_ids)) > 2
    assert (scores[count:] == -1).all()
    assert not boxes[count:].any()
    assert not masks[count:].any()
    np.testing.assert_allclose(scores[:count], result.scores, atol=1e-3)
    ours, theirs = (
        np.argsort(boxes[:count, 0] + 1e3 * class_ids[:count]),
        np.argsort(result.boxes[:, 0] + 1e3 * (result.class_ids + 1)),
    )
    np.testing.assert_array_equal(class_ids[:count][ours] - 1, result.class_ids[theirs])
    np.testing.assert_allclose(boxes[:count][ours], result.boxes[theirs], atol=0.05)


def test_the_bundle_finds_what_torchvision_finds_in_photos(tmp_path: Path, fixtures: Path) -> None:
    """Each object above 0.5 has its like, IoU above 0.9 and the same class, in torchvision's own way from the photo."""
    name, size = "maskrcnn_resnet50_fpn_v2", (240, 320)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in (89, 194, 208):
        # At the network's size, for torchvision resizes in floats and segrt in bytes.
        photo = read_image(fixtures / "coco_panoptic" / "images" / f"{number:012d}.jpg")
        small = cv2.resize(photo, size[::-1], interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(photos / f"{number}.png"), small)
    overrides = {**SMALL, "min_size": size[0], "max_size": size[1], "backbone": "resnet18"}
    checked = check_export(name, tmp_path, photos, size=size, overrides=overrides, least_objects=4)
    assert [label.name for label in checked.manifest.labels][:2] == ["person", "bicycle"]
    assert [label.dataset_id for label in checked.manifest.labels] == list(range(1, 91))
    assert all(label.name.startswith("unused") for label in checked.manifest.labels if not label.isthing)

    network = _torchvision(name, size, overrides)
    above = 0
    with open_bundle(checked.bundle, threads=1, score_threshold=0.05) as segmenter:
        for path in sorted(photos.iterdir()):
            image = read_image(path)
            planes = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1).float() / 255
            with torch.no_grad():
                theirs = network([planes])[0]
            ours: Any = segmenter(image)
            pairs = (
                ((ours.boxes, ours.scores, ours.class_ids + 1), (theirs["boxes"], theirs["scores"], theirs["labels"])),
            )
            for one, other in (*pairs, *((b, a) for a, b in pairs)):
                above += _matched(*(torch.as_tensor(part) for part in (*one, *other)))
    assert above >= 24


def _matched(boxes: Any, scores: Any, classes: Any, others: Any, other_scores: Any, other_classes: Any) -> int:
    """Assert that each box above 0.5 has its like among the others (0.3 or more); return how many there are."""
    sure, possible = scores > 0.5, other_scores > 0.3
    overlaps = box_iou(boxes[sure], others[possible])
    overlaps[classes[sure][:, None] != other_classes[possible][None]] = 0
    assert (overlaps.max(1).values > 0.9).all()
    return int(sure.sum())


def _torchvision(name: str, size: tuple[int, int], overrides: dict[str, Any]) -> Any:
    """Return torchvision's own network, unchanged, with the weights that the bundle has."""
    options = {key: value for key, value in overrides.items() if key not in ("candidates", "backbone")}
    network = getattr(torchvision.models.detection, name)(weights=None, weights_backbone=None, **options).eval()
    network.backbone = resnet_fpn_backbone(
        backbone_name=overrides["backbone"], weights=None, norm_layer=torch.nn.BatchNorm2d
    )
    request = Request(find_model(name), size, Weights("random"), overrides=overrides)
    with seeded(0):
        built: Any = maskrcnn_build.build(request).framework_result
    network.load_state_dict(built.network.state_dict())
    return network.eval()


def test_the_older_names_of_the_published_weights_load(tmp_path: Path) -> None:
    """As torchvision's own loading does, by the versions that its modules note."""
    torch.manual_seed(1)
    network = torchvision.models.detection.maskrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    older = {}
    for name, value in network.state_dict().items():
        old = re.sub(r"(_blocks\.\d)\.0\.", r"\1.", name.replace("rpn.head.conv.0.0.", "rpn.head.conv."))
        old = re.sub(r"mask_head\.(\d)\.0\.", lambda found: f"mask_head.mask_fcn{int(found[1]) + 1}.", old)
        if not old.endswith("num_batches_tracked"):  # frozen layers have none
            older[old] = value
    assert {"rpn.head.conv.weight", "roi_heads.mask_head.mask_fcn4.bias"} <= older.keys()
    torch.save(older, tmp_path / "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth")
    weights = Weights("file", tmp_path / "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth")
    built: Any = maskrcnn_build.build(Request(find_model("maskrcnn_resnet50_fpn"), (64, 64), weights)).framework_result
    found = built.network.state_dict()
    assert all(torch.equal(found[name], value) for name, value in network.state_dict().items())
    # torchvision sets this for these very weights.
    assert built.network.backbone.body.bn1.eps == 0.0


def test_a_size_that_is_too_small_is_refused() -> None:
    request = Request(find_model("maskrcnn_resnet50_fpn"), (32, 640), Weights("random"))
    with pytest.raises(SegrtError, match="--size 32x640: both sides must be at least 64"):
        maskrcnn_build.build(request)


@EVERY
def test_upright_pictures_come_in_at_torchvision_s_scale_where_the_canvas_holds_both(fixtures: Path) -> None:
    """In a canvas for pictures on their side they are reduced, and random weights find nothing alike in them."""
    photos = sorted((fixtures / "coco_panoptic" / "images").glob("*.jpg"))[:4]
    upright = [cv2.resize(read_image(path), (240, 320), interpolation=cv2.INTER_AREA) for path in photos]
    shares = {}
    for shortest, canvas in ((None, (240, 320)), (240, (320, 320))):
        overrides = {**SMALL, "min_size": 240, "max_size": 320, "backbone": "resnet18"}
        request = Request(
            find_model("maskrcnn_resnet50_fpn_v2"),
            canvas,
            Weights("random"),
            overrides=overrides,
            shortest_edge=shortest,
        )
        exportable = maskrcnn_build.build(request)
        found = [_both_ways(exportable, image, canvas) for image in upright]
        shares[canvas] = np.mean([matched_share([pair]) for pair in found])
    assert shares[240, 320] < 0.1
    # What lies in the canvas beyond torchvision's own padding reaches a little into the picture.
    assert shares[320, 320] > 0.8


def _both_ways(exportable: Any, image: Any, canvas: tuple[int, int]) -> tuple[Any, Any]:
    """Return torchvision's own result from the picture on, and that of the heads that are exported."""
    network = ByteInput(exportable)
    inputs, geometry = network_inputs(input_specs(exportable, canvas), image)
    planes = torch.from_numpy(np.ascontiguousarray(image[..., ::-1])).permute(2, 0, 1).float() / 255
    with torch.no_grad():
        heads = network(torch.from_numpy(inputs["image"]), torch.from_numpy(inputs["valid_mask"]))
        theirs = exportable.framework_result.network([planes])[0]
    by_role = {role: head[0].numpy() for (_, role), head in zip(exportable.heads, heads, strict=True)}
    rule = exportable.decode.replaced(score_threshold=0.05)
    ours = paste_masks(by_role, geometry, Context(rule, exportable.labels))
    return maskrcnn_build.to_result(theirs, image.shape[:2], exportable.labels), ours
