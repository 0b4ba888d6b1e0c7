"""The three systems that are compared most, a command each on a photo, with weights in the files that people have.

    python tests/export/models/article_systems.py PHOTO --out FOLDER [--quick]

Writes random, calibrated weights as they are published: PixelLib's two .h5 files and the .pth of DETR's authors. Then
runs what `docs/tutorials/three-systems.md` says, `segrt export` for each and `segrt compare`, and prints the commands.
Each network has the size that it is published for. What lies in FOLDER already is taken.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import torch
from detr_layout import in_the_authors_names
from keras_layout import save_as_keras

from segrt.export.convert.exporting import build
from segrt.export.family import Exportable, Request, Weights
from segrt.export.models.catalogue import find_model

FILES = {
    "pixellib-deeplabv3plus-xception": "deeplabv3_xception_tf_dim_ordering_tf_kernels.h5",
    "pixellib-maskrcnn-resnet101": "mask_rcnn_coco.h5",
    "detr-resnet101-panoptic": "detr-r101-panoptic.pth",
}
RPN = {"rpn_model": ("rpn_conv_shared", "rpn_class_raw", "rpn_bbox_pred")}


QUICK_SIZES = {"pixellib-maskrcnn-resnet101": (512, 512), "detr-resnet101-panoptic": (480, 640)}


def write_weights(name: str, size: tuple[int, int], path: Path) -> None:
    """Write random weights of the model `name`, calibrated at `size` (h, w), as its authors publish theirs."""
    exportable: Exportable = build(Request(find_model(name), size, Weights("random", seed=3)))
    if path.suffix == ".h5":
        save_as_keras(exportable.core, path, nested=RPN if "maskrcnn" in name else None, whole_model="deeplab" in name)
    else:
        torch.save({"model": in_the_authors_names(exportable.core.model.state_dict())}, path)  # type: ignore[operator,union-attr]


def run(*words: str) -> None:
    """Run a command of segrt in a process of its own, and print it."""
    print("$ segrt " + " ".join(words), flush=True)
    subprocess.run([Path(sys.executable).with_name("segrt"), *words], check=True)


def main() -> None:
    """Write weights, export and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--quick", action="store_true", help="smaller networks, compared with torch on one picture; one run is timed"
    )
    given = parser.parse_args()
    parity, repeat = (["--parity", "quick"], ["--repeat", "1"]) if given.quick else ([], [])
    given.out.mkdir(parents=True, exist_ok=True)
    bundles = []
    for name, file in FILES.items():
        own = find_model(name).size
        height, width = size = QUICK_SIZES.get(name, own) if given.quick else own
        bundles.append(str(given.out / name))
        if Path(bundles[-1]).is_dir():
            continue
        if not (given.out / file).is_file():
            write_weights(name, size, given.out / file)
        chosen = [] if size == own else ["--size", f"{height}x{width}"]
        run("export", name, "--weights", str(given.out / file), *chosen, *parity, "--out", bundles[-1])
    drawn = str(given.out / "three-systems.png")
    run("compare", given.photo, *bundles, "--style", "detectron2", *repeat, "--out", drawn)


if __name__ == "__main__":
    main()
