"""SOLO against mmdetection's names and order of operations; `original_solo.py` compares it with the original code."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from harness import EVERY, check_export  # noqa: E402

from segrt.export.family import Request, Weights  # noqa: E402
from segrt.export.models.catalogue import find_model  # noqa: E402
from segrt.export.models.solo import build as solo_build  # noqa: E402
from segrt.export.models.solo.location_heads import HEADS, LocationOptions  # noqa: E402
from segrt.export.models.solo.network import SOLO, SOLOHeads  # noqa: E402
from segrt.export.models.solov2 import build as solov2_build  # noqa: E402
from segrt.export.models.solov2.head import STRIDES  # noqa: E402
from segrt.export.models.solov2.published_names import mmdetection_name  # noqa: E402
from segrt.runtime.errors import SegrtError  # noqa: E402
from segrt.runtime.results import InstanceResult  # noqa: E402

GRIDS = (12, 10, 8, 6, 4)
SMALL: dict[str, Any] = {"depth": 18, "grids": GRIDS, "channels": 32, "stacked": 2}
MODELS = {
    "solo": "solo-resnet50",
    "decoupled": "decoupled-solo-resnet50",
    "light": "decoupled-solo-light-resnet50",
}
# Each export takes a quarter of a minute; `make families` tries those that differ little, too.


def small_network(head: str, classes: int = 5) -> Any:
    options = {name: value for name, value in SMALL.items() if name != "depth"}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return SOLO(18, head, LocationOptions(classes, **options)).eval()


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (
            "solo",
            {
                "mask_convs.0.conv.weight": (256, 258, 3, 3),
                "mask_convs.6.gn.bias": (256,),
                "conv_mask_list.0.weight": (1600, 256, 1, 1),
                "conv_mask_list.4.bias": (144,),
                "conv_cls.weight": (80, 256, 3, 3),
                "cls_convs.0.conv.weight": (256, 256, 3, 3),
            },
        ),
        (
            "decoupled",
            {
                "mask_convs_x.0.conv.weight": (256, 257, 3, 3),
                "mask_convs_y.6.gn.weight": (256,),
                "conv_mask_list_x.0.weight": (40, 256, 3, 3),
                "conv_mask_list_y.4.bias": (12,),
            },
        ),
        ("light", {"mask_convs.0.conv.weight": (256, 258, 3, 3), "conv_mask_list_x.2.weight": (24, 256, 3, 3)}),
    ],
)
def test_the_weights_are_named_as_mmdetections(head: str, expected: dict[str, tuple[int, ...]]) -> None:
    with torch.device("meta"):
        found = {name: tuple(value.shape) for name, value in HEADS[head](256, LocationOptions(80)).state_dict().items()}
    assert {name: found[name] for name in expected} == expected
    known = {"mask_convs", "mask_convs_x", "mask_convs_y", "cls_convs", "conv_cls"}
    known |= {"conv_mask_list", "conv_mask_list_x", "conv_mask_list_y"}
    assert {name.partition(".")[0] for name in found} <= known


@pytest.mark.parametrize("head", HEADS)
def test_the_chosen_cells_carry_the_masks_that_mmdetection_makes_of_all_cells(head: str) -> None:
    """All masks at once, enlarged, as mmdetection does; then those of the chosen cells."""
    network = small_network(head)
    pixels = torch.randn(2, 3, 96, 120, generator=torch.Generator().manual_seed(3))
    core = SOLOHeads(network, 40)
    with torch.no_grad():
        logits, maps = network(pixels)
        scores, class_ids, cells, least_areas = core.selection(logits)
        valid = torch.ones(2, 96, 120, dtype=torch.bool)
        found = core(pixels, valid)
        size = maps[0][0].shape[2:]

        def large(planes: Any) -> Any:
            return torch.nn.functional.interpolate(planes.sigmoid(), size=size, mode="bilinear")

        if head == "solo":
            every = [large(network.mask_head.conv_mask_list[level](one[0])) for level, one in enumerate(maps)]
        else:
            every = []
            for columns, rows in maps:
                product = large(columns)[:, None] * large(rows)[:, :, None]  # row, then column
                every.append(product.flatten(1, 2))
        masks = torch.cat(every, dim=1)
    assert found[3].shape == (2, 40, 24, 32)
    for picture in range(2):
        torch.testing.assert_close(found[3][picture], masks[picture, cells[picture]], atol=1e-5, rtol=1e-5)
        strides = torch.cat([torch.full((s * s,), float(t)) for s, t in zip(GRIDS, STRIDES, strict=True)])
        torch.testing.assert_close(found[2][picture], strides[cells[picture]])
    assert torch.equal(found[1], class_ids.to(torch.int32))
    assert torch.equal(found[0], scores)
    assert torch.equal(found[2], least_areas)
    # The slow description's mask of one cell is the same.
    level, y, x = 1, 3, 7
    of_one = network.mask_head.mask_of(maps, level, y, x)
    torch.testing.assert_close(of_one, masks[0, 12 * 12 + y * 10 + x], atol=1e-5, rtol=1e-5)


def authors_name(name: str, head: str) -> str:
    """Return what WXinlong/SOLO calls a tensor that mmdetection calls `name`."""
    if not name.startswith("mask_head."):
        return name
    part, dot, rest = name.removeprefix("mask_head.").partition(".")
    if part == "mask_feature_head":
        return f"mask_feat_head.{rest.replace('conv_pred.', 'conv_pred.0.')}"
    d = "" if head in ("solo", "v2") else "d"
    names = {
        "cls_convs": "cate_convs", "mask_convs": "ins_convs", "mask_convs_x": "ins_convs_x",
        "mask_convs_y": "ins_convs_y", "conv_cls": f"{d}solo_cate", "conv_kernel": "solo_kernel",
        "conv_mask_list": "solo_ins_list", "conv_mask_list_x": "dsolo_ins_list_x",
        "conv_mask_list_y": "dsolo_ins_list_y",
    }  # fmt: skip
    return f"bbox_head.{names.get(part, part)}{dot}{rest}"


@pytest.mark.parametrize("theirs", [False, True], ids=["mmdetection", "authors"])
@pytest.mark.parametrize("head", [*HEADS, "v2"])
def test_weights_under_either_name_load_strictly(head: str, theirs: bool, tmp_path: Path) -> None:
    if head == "v2":
        small: dict[str, Any] = {"grids": (12, 10, 8, 6, 4), "channels": 32, "mask_channels": 32, "mask_hidden": 32}
        name, family = "solov2-light-resnet18", solov2_build
    else:
        small, name, family = dict(SMALL), MODELS[head], solo_build
    model = find_model(name)
    network = family.build(Request(model, (64, 96), Weights("random", seed=5), overrides=small)).core.network
    tensors = network.state_dict()
    named = {authors_name(key, head) if theirs else key: value for key, value in tensors.items()}
    assert {mmdetection_name(key) for key in named} == set(tensors)
    path = tmp_path / "solo.pth"
    torch.save({"meta": {}, "state_dict": named}, path)
    loaded = family.build(Request(model, (64, 96), Weights("file", path), overrides=small)).core.network.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in tensors.items())
    named.pop(next(key for key in named if "head" in key))
    torch.save(named, path)
    with pytest.raises(SegrtError, match="1 missing"):
        family.build(Request(model, (64, 96), Weights("file", path), overrides=small))


def test_weights_of_deformable_networks_and_of_another_head_are_refused_in_one_line(tmp_path: Path) -> None:
    network = small_network("light", classes=80)
    tensors = network.state_dict()
    path = tmp_path / "dcn.pth"
    torch.save({**tensors, "mask_head.mask_convs.1.conv.conv_offset.weight": torch.zeros(18, 32, 3, 3)}, path)
    model = find_model(MODELS["light"])
    with pytest.raises(SegrtError, match="deformable convolutions") as refused:
        solo_build.build(Request(model, (64, 96), Weights("file", path), overrides=SMALL))
    assert "\n" not in str(refused.value)
    torch.save(tensors, path)
    with pytest.raises(SegrtError, match=r"missing \(mask_head.mask_convs_x"):
        solo_build.build(Request(find_model(MODELS["decoupled"]), (64, 96), Weights("file", path), overrides=SMALL))


def test_a_size_below_the_pyramids_coarsest_map_is_refused() -> None:
    with pytest.raises(SegrtError, match=r"--size 32x96: both sides must be at least 64"):
        solo_build.build(Request(find_model(MODELS["solo"]), (32, 96), Weights("random")))


@pytest.mark.parametrize("head", ["solo", pytest.param("decoupled", marks=EVERY), pytest.param("light", marks=EVERY)])
def test_the_bundle_finds_what_the_description_finds(head: str, tmp_path: Path, photos: Path) -> None:
    checked = check_export(
        MODELS[head],
        tmp_path,
        photos,
        size=(128, 160),
        overrides=SMALL,
        top_queries=150,
        weights=Weights("random", seed=2),
        least_objects=3,
    )
    assert checked.manifest.head("mask_probabilities").shape == (1, 150, 32, 40)
    for result in checked.results:
        assert isinstance(result, InstanceResult)
        assert len(set(result.class_ids)) >= 3
        assert np.ptp([mask.sum() for mask in result.masks]) > 1000
