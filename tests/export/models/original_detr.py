"""DETR's authors' own code and segrt on the same weights: `python tests/export/models/original_detr.py REPO PHOTOS`.

REPO is a checkout of facebookresearch/detr, which is not fetched here. Random, calibrated weights are saved under the
authors' names, loaded strictly by their network and exported by segrt; then their network and `PostProcessPanoptic`
(threshold 0.85) and the bundle segment the same photos. Prints a row for each, and exits with 1 unless heads agree to
2e-3, the same classes are found in the same order and 99.9 % of pixels lie in the same segment.
"""

import argparse
import io
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from segrt.export.convert.exporting import ExportOptions, export_model
from segrt.export.family import Request, Weights
from segrt.export.models.catalogue import find_model
from segrt.export.models.detr.build import CLASSES, build
from segrt.export.models.detr.original_names import with_transformers_names
from segrt.runtime import open_bundle
from segrt.runtime.files.images import read_image
from segrt.runtime.results import PanopticResult

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def original_network(repository: Path, depth: int) -> Any:
    """Return the authors' panoptic network; `panopticapi` need not be installed."""
    sys.path.insert(0, str(repository))
    stub = types.ModuleType("panopticapi.utils")
    stub.id2rgb = lambda ids: np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)  # type: ignore[attr-defined]
    stub.rgb2id = lambda rgb: rgb[..., 0] + 256 * rgb[..., 1].astype(int) + 65536 * rgb[..., 2].astype(int)  # type: ignore[attr-defined]
    sys.modules.setdefault("panopticapi", types.ModuleType("panopticapi"))
    sys.modules.setdefault("panopticapi.utils", stub)
    import hubconf  # the authors'
    from models import backbone  # the authors', too

    backbone.is_main_process = lambda: False  # the main process fetches ImageNet's weights
    return hubconf._make_detr(f"resnet{depth}", dilation=False, num_classes=CLASSES, mask=True).eval()


def saved_weights(network: Any, depth: int, path: Path) -> None:
    """Give the authors' network random, calibrated weights, and save them as they do."""
    size = (160, 224)
    ours = build(Request(find_model(f"detr-resnet{depth}-panoptic"), size, Weights("random"))).core.model.state_dict()
    state = network.state_dict()
    # Which of ours goes where is asked of the names themselves: each of theirs holds its own number.
    flat, numbered = {}, {}
    for number, (name, tensor) in enumerate(state.items()):
        flat[number] = name
        numbered[name] = torch.full(tensor.shape, float(number)) if tensor.dim() else torch.tensor(float(number))
    parts: dict[str, list[torch.Tensor]] = {}
    for name, tensor in with_transformers_names(numbered, "numbers").items():
        parts.setdefault(flat[int(tensor.flatten()[0])], []).append(ours[name])
    loaded = {name: torch.cat(parts[name]).reshape(tensor.shape) for name, tensor in state.items()}
    network.load_state_dict(loaded)
    torch.save({"model": loaded}, path)


def original_result(network: Any, photo: Path, processed: tuple[int, int]) -> tuple[Any, np.ndarray, list[Any]]:
    """Return the authors' heads for a photo resized to `processed`, their map at the photo's size and its segments."""
    from models.segmentation import PostProcessPanoptic  # the authors'

    picture = Image.open(photo).convert("RGB")
    small = torch.from_numpy(np.array(picture.resize(processed[::-1], Image.Resampling.BILINEAR), np.float32) / 255)
    pixels = ((small - torch.tensor(MEAN)) / torch.tensor(STD)).permute(2, 0, 1)[None]
    things = {index: index <= 90 for index in range(CLASSES)}
    with torch.no_grad():
        outputs = network(pixels)
    made = PostProcessPanoptic(things, threshold=0.85)(
        outputs, torch.tensor([processed]), torch.tensor([(picture.height, picture.width)])
    )[0]
    png = np.array(Image.open(io.BytesIO(made["png_string"])), np.int64)
    return outputs, png[..., 0] + 256 * png[..., 1] + 65536 * png[..., 2], made["segments_info"]


def compare(repository: Path, depth: int, size: tuple[int, int], photos: list[Path], out: Path) -> bool:
    """Export, run both, print; return whether all photos agree."""
    network = original_network(repository, depth)
    saved_weights(network, depth, out / "detr.pth")
    bundle = out / "bundle"
    export_model(
        f"detr-resnet{depth}-panoptic",
        bundle,
        ExportOptions(Weights("file", out / "detr.pth"), size=size, threads=1, parity_images=photos[0].parent),
    )
    good = True
    with open_bundle(bundle, threads=1) as segmenter:
        print(f"{segmenter.decode}\n{'photo':32}{'theirs':>8}{'ours':>8}{'classes':>9}{'pixels':>10}{'heads':>10}")
        for photo in photos:
            picture = read_image(photo)
            result = segmenter(picture)
            heads, geometry = segmenter.heads(picture)
            window = [round(value) for value in geometry.window]
            processed = (window[2] - window[0], window[3] - window[1])
            outputs, ids, infos = original_result(network, photo, processed)
            difference = np.abs(heads["class_logits"] - outputs["pred_logits"][0].numpy()).max()
            assert isinstance(result, PanopticResult)
            same = [segment.class_id for segment in result.segments] == [info["category_id"] for info in infos]
            share = float((result.segment_ids == ids + 1).mean())
            good = good and same and share >= 0.999 and difference <= 2e-3
            print(
                f"{photo.name:32}{len(infos):8}{len(result.segments):8}{'same' if same else 'differ':>9}"
                f"{share:10.4%}{difference:10.1e}",
                flush=True,
            )
    return good


def main() -> None:
    """Compare what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path)
    parser.add_argument("photos", type=Path, help="a folder of JPEGs of one shape, four to three")
    parser.add_argument("--depth", type=int, default=101, choices=(50, 101))
    parser.add_argument("--size", default="480x640", help="HEIGHTxWIDTH; 800x1066 is the article's")
    given = parser.parse_args()
    height, _, width = given.size.partition("x")
    photos = sorted(given.photos.glob("*.jpg"))
    with tempfile.TemporaryDirectory(prefix="detr-") as folder:
        good = compare(given.repository, given.depth, (int(height), int(width)), photos, Path(folder))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
