"""Ultralytics' `predict` and segrt on the same networks: `python tests/export/adopt/original_ultralytics.py PHOTO…`.

Its package (AGPL-3.0) must be installed; without it the script says so and ends. For each architecture a checkpoint
with random, calibrated weights is written, exported by `segrt export ultralytics:FILE.pt`'s own function, and both
segment the same photos: shrunken to fit, so that nothing is resized, and whole, the package's network then on what the
bundle's is fed (they resize within a grey level, of which a random network makes another picture). Prints a row for
each; exits with 1 unless all objects are the same. `--checkpoint FILE.pt` compares one of yours instead, and also whole
photos that each resizes as it does.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from segrt.export.adopt.adopt_options import AdoptOptions
from segrt.export.adopt.ultralytics_checkpoint import adopt_checkpoint
from segrt.runtime import open_bundle
from segrt.runtime.files.images import Picture, read_image
from segrt.runtime.preprocess.picture import network_inputs
from segrt.runtime.results import InstanceResult, SemanticResult

NAMES = (
    *("yolov8n-seg", "yolov9c-seg", "yolo11n-seg", "yolo12n-seg", "yolo26n-seg", "yolo26n-sem"),
    *("yoloe-v8s-seg", "yoloe-11s-seg", "yoloe-11s-seg-pf", "yoloe-26n-seg", "yoloe-26n-seg-pf"),
)


def fitted(picture: Picture, size: tuple[int, int]) -> Picture:
    """Return `picture` shrunken so that it fits into `size` (h, w) and nothing of it is resized again."""
    scale = min(size[0] / picture.shape[0], size[1] / picture.shape[1])
    sides = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    shrunken: Any = cv2.resize(picture, sides, interpolation=cv2.INTER_AREA)
    return shrunken


def compared(
    theirs: Any, bundle: Path, pictures: Sequence[Picture], size: tuple[int, int], *, same_input: bool = False
) -> tuple[str, bool]:
    """Return how results of the bundle compare with those of the package's network, and whether they are the same."""
    from ultralytics_networks import matches, own_prediction

    ours = theirs_found = 0
    found, shares = [], []
    with open_bundle(bundle, threads=1) as segmenter:
        for picture in pictures:
            inputs = network_inputs(segmenter.manifest.inputs, picture)[0]
            fed = next(iter(inputs.values())) if same_input else None
            result, wanted = segmenter(picture), own_prediction(theirs, picture, size, fed=fed)
            if isinstance(result, SemanticResult):
                shares.append(float((result.class_map == np.asarray(wanted.semantic_mask.data).squeeze()).mean()))
                continue
            assert isinstance(result, InstanceResult)
            ours, theirs_found = ours + len(result), theirs_found + len(wanted)
            found += matches(result, wanted)
    if shares:
        return f"{min(shares):.3%} of the pixels alike, at least", min(shares) >= 0.999
    same = [match for match in found if match.is_same]
    least = min((match.iou for match in found), default=1.0)
    most = max((match.distance for match in found), default=0.0)
    pixels = max((match.pixels for match in found), default=0)
    text = (
        f"{ours} objects for {theirs_found}, {len(same)} the same, least IoU {least:.4f}, at most {pixels} pixels, "
        f"scores within {most:.1e}"
    )
    return text, ours == theirs_found == len(same) > 0


def main() -> int:
    """Compare; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--names", default=",".join(NAMES), help="architectures, by commas")
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint of yours instead")
    parser.add_argument("--size", type=int, default=320, help="side of the network's input")
    given = parser.parse_args()
    if find_spec("ultralytics") is None:
        print("ultralytics is not installed; nothing is compared", file=sys.stderr)
        return 0
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false")
    size = (given.size, given.size)
    whole = [read_image(path) for path in given.photos]
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        os.environ["YOLO_CONFIG_DIR"] = folder
        from ultralytics import YOLO
        from ultralytics_networks import letterboxed, ultralytics_network

        for name in [str(given.checkpoint)] if given.checkpoint else given.names.split(","):
            if given.checkpoint:
                theirs, path = YOLO(given.checkpoint), given.checkpoint
            else:
                theirs, path = ultralytics_network(name, Path(folder), letterboxed(whole, size))
            bundle = Path(folder) / f"{Path(name).stem}-bundle"
            adopt_checkpoint(path, bundle, AdoptOptions(size=size))
            rows = [
                ("fitted", *compared(theirs, bundle, [fitted(picture, size) for picture in whole], size)),
                ("whole, on the same input", *compared(theirs, bundle, whole, size, same_input=True)),
            ]
            failed |= not all(same for _, _, same in rows)
            if given.checkpoint:
                rows.append(("whole", *compared(theirs, bundle, whole, size)))
            for what, text, _ in rows:
                print(f"{name}: {what}: {text}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
