"""SOLO's heads as its authors and as mmdetection wrote them, and segrt, on the same weights.

    python tests/export/models/original_solo.py REPO PHOTOS [--model NAME …] [--size HxW]

REPO is a checkout of WXinlong/SOLO, or the folder with the package `mmdet` 3 (`pip download --no-deps mmdet`,
unzipped); neither is fetched here, nor is mmcv needed: the files of the heads and of Matrix NMS are loaded by
themselves, with stand-ins for what training alone uses. Backbone and pyramid are segrt's. Random, calibrated weights
are saved under REPO's names and exported; then REPO's head with its own post-processing and the bundle segment the
same photos. Prints a row for each photo, and exits with 1 unless scores agree to 2e-3 and every object is found with
its class at an IoU above 0.95.
"""

import argparse
import importlib.util
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
from torch import nn

from segrt.export.convert.exporting import ExportOptions, build, export_model
from segrt.export.family import Request, Weights
from segrt.export.models.catalogue import find_model
from segrt.export.models.solov2.published_names import mmdetection_name
from segrt.runtime import open_bundle
from segrt.runtime.files.images import read_image
from segrt.runtime.preprocess.picture import network_inputs
from segrt.runtime.results import InstanceResult

MODELS = ("solo-resnet50", "decoupled-solo-resnet50", "decoupled-solo-light-resnet50", "solov2-light-resnet18")
STRIDES, GRIDS = [8, 8, 16, 32, 32], [40, 36, 24, 16, 12]
RANGES = ((1, 96), (48, 192), (96, 384), (192, 768), (384, 2048))
TEST = types.SimpleNamespace(
    nms_pre=500, score_thr=0.1, mask_thr=0.5, filter_thr=0.05, update_thr=0.05, kernel="gaussian", sigma=2.0,
    max_per_img=100,
)  # fmt: skip
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RARER = 4.0
LEAST_IOU, MOST_DIFFERENCE = 0.95, 2e-3
Found = tuple[np.ndarray, np.ndarray, np.ndarray]  # masks (N, H, W), class ids, scores


class ConvModule(nn.Module):
    """mmcv's ConvModule as these heads use it: convolution without bias, group normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int, *, padding: int = 0, **options: Any) -> None:
        super().__init__()
        normalised = options.get("norm_cfg") is not None
        self.conv = nn.Conv2d(inputs, outputs, size, padding=padding, bias=not normalised)
        if normalised:
            self.gn = nn.GroupNorm(options["norm_cfg"]["num_groups"], outputs)
        self.normalised = normalised

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (N, outputs, h, w)."""
        features = self.conv(features)
        return torch.relu(self.gn(features)) if self.normalised else features


class Module(nn.Module):
    """A base class of mmcv, mmengine or mmdetection, of which training alone uses more."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ARG002
        super().__init__()


class Registry:
    """A registry whose decorator leaves classes as they are, called or not."""

    def register_module(self, given: Any = None) -> Any:
        """Return the class, or what returns it."""
        return given if isinstance(given, type) else lambda found: found

    def build(self, *arguments: Any, **options: Any) -> None:
        """Make nothing: only losses are asked for here."""


class Instances(types.SimpleNamespace):
    """mmengine's InstanceData: what is known of a picture's objects."""


class Part(dict[str, Any]):
    """A configuration whose entries are attributes, too."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


def multi_apply(function: Callable[..., Any], *given: Any, **options: Any) -> tuple[list[Any], ...]:
    """Call `function` for each level, and return what it gives as lists."""
    return tuple(map(list, zip(*(function(*one, **options) for one in zip(*given, strict=True)), strict=True)))


def generate_coordinate(size: Any, device: Any) -> torch.Tensor:
    """Return x and y of each cell, from -1 to 1, as mmdetection's function of that name."""
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, size[-2], device=device), torch.linspace(-1, 1, size[-1], device=device), indexing="ij"
    )
    return torch.stack([x, y]).expand(size[0], -1, -1, -1)


def loaded(path: Path, name: str) -> Any:
    """Return the module in the file at `path` under `name`, by which its relative imports are resolved."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def stand_in(name: str, **members: Any) -> None:
    """Put a module into place whose other members are mocks."""
    module = MagicMock(spec=None, name=name)
    module.__path__, module.__spec__ = [], None
    for member, value in members.items():
        setattr(module, member, value)
    sys.modules[name] = module


def authors_heads(repository: Path) -> dict[str, Any]:
    """Return the head classes of WXinlong/SOLO by name, which mmdetection 1.0 underlies."""
    nms = loaded(repository / "mmdet/core/post_processing/matrix_nms.py", "solo_matrix_nms")
    for name in ("mmcv", "mmcv.cnn", "mmdet", "mmdet.models", "mmdet.models.anchor_heads", "mmdet.models.mask_heads"):
        stand_in(name)
    stand_in("mmdet.ops")
    stand_in("mmdet.core", multi_apply=multi_apply, matrix_nms=nms.matrix_nms)
    stand_in("mmdet.models.builder")
    stand_in("mmdet.models.registry", HEADS=Registry())
    stand_in("mmdet.models.utils", ConvModule=ConvModule)
    heads = {}
    for folder, file in (
        ("anchor_heads", "solo_head"), ("anchor_heads", "decoupled_solo_head"),
        ("anchor_heads", "decoupled_solo_light_head"), ("anchor_heads", "solov2_light_head"),
        ("mask_heads", "mask_feat_head"),
    ):  # fmt: skip
        module = loaded(repository / f"mmdet/models/{folder}/{file}.py", f"mmdet.models.{folder}.{file}")
        heads.update({name: found for name, found in vars(module).items() if isinstance(found, type)})
    return heads


def mmdetection_heads(repository: Path) -> dict[str, Any]:
    """Return the head classes of mmdetection 3 by name."""
    for name in ("mmcv", "mmengine", "mmdet", "mmdet.models", "mmdet.models.dense_heads", "mmdet.utils"):
        stand_in(name)
    stand_in("mmcv.cnn", ConvModule=ConvModule)
    stand_in("mmengine.model", BaseModule=Module)
    stand_in("mmengine.structures", InstanceData=Instances)
    stand_in("mmdet.registry", MODELS=Registry())
    stand_in("mmdet.structures")
    stand_in("mmdet.structures.mask")
    nms = loaded(repository / "mmdet/models/layers/matrix_nms.py", "mmdet_matrix_nms")
    stand_in("mmdet.models.layers", mask_matrix_nms=nms.mask_matrix_nms)
    stand_in("mmdet.models.utils", generate_coordinate=generate_coordinate, multi_apply=multi_apply)
    stand_in("mmdet.models.utils.misc")
    stand_in("mmdet.models.dense_heads.base_mask_head", BaseMaskHead=Module)
    heads = {}
    for file in ("solo_head", "solov2_head"):
        module = loaded(repository / f"mmdet/models/dense_heads/{file}.py", f"mmdet.models.dense_heads.{file}")
        heads.update({name: found for name, found in vars(module).items() if isinstance(found, type)})
    return heads


class Original:
    """REPO's head for one of the models, under the names of its checkpoints."""

    def __init__(self, repository: Path, model: str) -> None:
        self.authors = (repository / "mmdet/models/anchor_heads").is_dir()
        heads = (authors_heads if self.authors else mmdetection_heads)(repository)
        self.second = model.startswith("solov2")
        options = dict(find_model(model).options)
        kind = "v2" if self.second else str(options["head"])
        stacked = int(options["stacked"])
        common = {"in_channels": 256, "stacked_convs": stacked, "strides": STRIDES, "num_grids": GRIDS}
        common |= {"scale_ranges": RANGES}
        norm = {"type": "GN", "num_groups": 32, "requires_grad": True}
        self.features: Any = None
        if self.authors:
            name = {"solo": "SOLOHead", "decoupled": "DecoupledSOLOHead", "light": "DecoupledSOLOLightHead"}.get(kind)
            common |= {"num_classes": 81, "loss_ins": MagicMock(), "loss_cate": MagicMock()}
            if self.second:
                name = "SOLOv2LightHead"
                common |= {"seg_feat_channels": options["channels"], "ins_out_channels": options["mask_channels"]}
                levels = {"in_channels": 256, "out_channels": 128, "start_level": 0, "end_level": 3}
                classes = options["mask_channels"]
                self.features = heads["MaskFeatHead"](**levels, num_classes=classes, norm_cfg=norm).eval()
            self.head = heads[str(name)](**common).eval()
        else:
            name = {"solo": "SOLOHead", "decoupled": "DecoupledSOLOHead", "light": "DecoupledSOLOLightHead"}.get(kind)
            common |= {"num_classes": 80, "norm_cfg": norm, "test_cfg": TEST}
            if self.second:
                name = "SOLOV2Head"
                part = {"feat_channels": 128, "start_level": 0, "end_level": 3, "mask_stride": 4, "norm_cfg": norm}
                part |= {"out_channels": options["mask_channels"]}
                common |= {"feat_channels": options["channels"], "mask_feature_head": Part(part)}
            self.head = heads[str(name)](**common).eval()

    def named(self) -> dict[str, torch.Tensor]:
        """Return the tensors under the names that they have in a checkpoint."""
        first = "bbox_head." if self.authors else "mask_head."
        tensors = {first + name: tensor for name, tensor in self.head.state_dict().items()}
        if self.features is not None:
            tensors |= {f"mask_feat_head.{name}": tensor for name, tensor in self.features.state_dict().items()}
        return tensors

    def take(self, ours: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Give the head our weights, and return it all under the names of REPO's checkpoints."""
        named = {name: ours[mmdetection_name(name)].clone() for name in self.named()}
        assert sum(name.startswith("mask_head.") for name in ours) == len(named), "each of our tensors has a place"
        for module, first in (
            (self.head, ("bbox_head." if self.authors else "mask_head.")),
            (self.features, "mask_feat_head."),
        ):
            if module is not None:
                state = {name.removeprefix(first): value for name, value in named.items() if name.startswith(first)}
                module.load_state_dict(state)
        rest = {name: value for name, value in ours.items() if not name.startswith("mask_head.")}
        return {**rest, **named}

    def segment(self, levels: list[torch.Tensor], shown: tuple[int, int], source: tuple[int, int]) -> Found:
        """Return what REPO finds: `shown` is the picture's size in the input, `source` its own."""
        if not self.authors:
            outputs = self.head(levels)
            meta = {"img_shape": (*shown, 3), "ori_shape": (*source, 3)}
            if "pad_shape" not in meta:
                meta["batch_input_shape"] = shown
            found = self.head.predict_by_feat(*outputs, batch_img_metas=[meta], rescale=True)[0]
            return found.masks.numpy(), found.labels.numpy(), found.scores.numpy()
        outputs = self.head(levels, eval=True)
        if self.second:
            outputs = (*outputs, self.features(levels[:4]))
        meta = {"img_shape": (*shown, 3), "ori_shape": (*source, 3), "scale_factor": 1.0}
        found = self.head.get_seg(*outputs, [meta], TEST, rescale=True)[0]
        if found is None:
            return np.zeros((0, *source), bool), np.zeros(0, np.int64), np.zeros(0, np.float32)
        masks, labels, scores = found
        return masks.numpy().astype(bool), labels.numpy(), scores.numpy()


def compare(repository: Path, model: str, size: tuple[int, int], photos: list[Path], out: Path) -> bool:
    """Export, run both, print; return whether all photos agree."""
    original = Original(repository, model)
    entry = find_model(model)
    network = build(Request(entry, size, Weights("random", seed=1))).core.network
    with torch.no_grad():  # fewer objects than either keeps at most, so that none is cut off for its rank
        network.mask_head.conv_cls.bias -= RARER
    weights = out / f"{model}.pth"
    torch.save({"meta": {}, "state_dict": original.take(network.state_dict())}, weights)
    bundle = out / model
    export_model(
        model, bundle, ExportOptions(Weights("file", weights), size=size, threads=1, parity_images=photos[0].parent)
    )
    good = True
    print(f"{model} ({'authors' if original.authors else 'mmdetection'})")
    with open_bundle(bundle, threads=1) as segmenter, torch.no_grad():
        for photo in photos:
            picture = read_image(photo)
            result = segmenter(picture)
            assert isinstance(result, InstanceResult)
            inputs, geometry = network_inputs(segmenter.manifest.inputs, picture)
            top, left, bottom, right = (int(edge) for edge in geometry.window)
            pixels = torch.from_numpy(inputs[segmenter.manifest.image_input.name]).permute(0, 3, 1, 2).float() / 255
            pixels = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
            pixels[:, :, bottom:], pixels[..., right:] = 0.0, 0.0  # mmdetection pads after it has normalised
            padded = nn.functional.pad(pixels, (0, -pixels.shape[3] % 32, 0, -pixels.shape[2] % 32))
            levels = network.neck(network.backbone(padded))
            masks, labels, scores = original.segment(levels, (bottom - top, right - left), geometry.source_size)
            shown = scores >= segmenter.decode.score_threshold
            masks, labels, scores = masks[shown], labels[shown], scores[shown]
            least, most = agreement(result, masks, labels, scores)
            good = good and least > LEAST_IOU and most <= MOST_DIFFERENCE and len(result) == len(scores)
            print(
                f"  {photo.name:28}{len(scores):6}{len(result):6}  least IoU {least:.4f}  scores {most:.1e}", flush=True
            )
    return good


def agreement(result: InstanceResult, masks: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Return the least IoU of their objects with ours of the same class, and the largest difference of scores."""
    least, most = 1.0, 0.0
    ours = list(zip(result.masks, result.class_ids, result.scores, strict=True))
    for mask, label, score in zip(masks, labels, scores, strict=True):
        best, difference = 0.0, 1.0
        for our_mask, our_class, our_score in ours:
            if our_class == label:
                overlap = float((mask & our_mask).sum()) / max(float((mask | our_mask).sum()), 1.0)
                if overlap > best:
                    best, difference = overlap, abs(float(our_score) - float(score))
        least, most = min(least, best), max(most, difference)
    return least, most


def main() -> None:
    """Compare what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path)
    parser.add_argument("photos", type=Path, help="a folder of JPEGs")
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("--size", default="256x320", help="HEIGHTxWIDTH; the models' own are 800x1333 and 512x852")
    given = parser.parse_args()
    if not (given.repository / "mmdet/models").is_dir():
        print(f"{given.repository}: is no checkout of WXinlong/SOLO or mmdetection; nothing is compared")
        return
    height, _, width = given.size.partition("x")
    photos = sorted(given.photos.glob("*.jpg"))
    with tempfile.TemporaryDirectory(prefix="solo-") as folder:
        found = [
            compare(given.repository, model, (int(height), int(width)), photos, Path(folder))
            for model in given.model or MODELS
        ]
    sys.exit(0 if all(found) else 1)


if __name__ == "__main__":
    main()
