"""PixelLib's own networks in Keras and segrt's on the same weights, heads and results, on photos.

    python tests/export/models/original_pixellib.py deeplab|maskrcnn PIXELLIB PHOTOS --keras-python PYTHON

PIXELLIB is a folder with the package `pixellib` (0.7.1: `pip download --no-deps pixellib`, unzipped); PYTHON has
tensorflow 2.15, h5py, opencv and scikit-image. Random, calibrated weights go into the networks that PixelLib builds,
which save them as .h5; that file is exported here. Every photo is taken at two sizes: fitted to the network's, where
PixelLib resizes nothing, and its own. Exits with 1 unless heads agree to 1e-3 and, on fitted photos, 99.9 % of the
pixels or every object above 0.5 at an IoU above 0.95. Nothing is compared where TensorFlow is missing.

TensorFlow's crop_and_resize gives 0 where rounding puts a point beyond a map, at random with a box's last bit; it is
kept from that here (`keep_points_inside`), for no other computation can be compared with chance. `--zeros` leaves it.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import torch
from pixellib_stages import compare_stages, spread_on_photos

from segrt.export.convert.exporting import ExportOptions, build, export_model
from segrt.export.family import Request, Weights
from segrt.export.graph.tracing import ByteInput, input_specs
from segrt.export.models.catalogue import find_model
from segrt.export.weights.keras_weights import keras_arrays
from segrt.runtime import open_bundle
from segrt.runtime.decode.decoders import find_decoder
from segrt.runtime.decode.rule import Context
from segrt.runtime.files.images import read_image
from segrt.runtime.preprocess.picture import network_inputs
from segrt.runtime.results import InstanceResult, SemanticResult

MODELS = {"deeplab": "pixellib-deeplabv3plus-xception", "maskrcnn": "pixellib-maskrcnn-resnet101"}
SIZES = {"deeplab": 512, "maskrcnn": 1024}
LEAST_PIXELS, LEAST_IOU, MOST_HEADS = 0.999, 0.95, 1e-3


@dataclass(frozen=True)
class Compared:
    """The largest difference of a head, the share that agrees on fitted photos, and that on photos as they are."""

    heads: float
    fitted: list[float]
    as_they_are: list[float]


def prepare(name: str, size: int, photos: list[Path], work: Path) -> None:
    """Write calibrated weights, the networks' inputs and the pictures into `work`."""
    exportable = build(Request(find_model(MODELS[name]), (size, size), Weights("random", seed=1)))
    inputs: dict[str, Any] = {}
    shown = []
    for photo in photos:
        picture = read_image(photo)
        cv2.imwrite(str(work / f"{photo.stem}.png"), picture)
        scale = size / max(picture.shape[:2])
        sides = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        fitted = cv2.resize(picture, sides, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        cv2.imwrite(str(work / f"{photo.stem}-fitted.png"), fitted)
        arrays, geometry = network_inputs(input_specs(exportable, (size, size)), fitted)
        pixels = (arrays["image"][0] / np.float32(255) - np.array(exportable.mean)) / np.array(exportable.std)
        if name == "deeplab":
            pixels = pixels * arrays["valid_mask"][0][..., None]
        inputs[photo.stem] = pixels.astype(np.float32)
        if name == "maskrcnn":
            inputs[f"{photo.stem}/window"] = np.array(geometry.window)
            shown.append((in_torch(inputs[photo.stem]), torch.from_numpy(arrays["valid_mask"])))
    np.savez(work / "pixels.npz", **inputs)
    if name == "maskrcnn":
        spread_on_photos(exportable.core, shown)
    np.savez(work / "weights.npz", **{key: array.get() for key, array in keras_arrays(exportable.core).items()})  # type: ignore[arg-type]


def in_torch(pixels: np.ndarray) -> torch.Tensor:
    """Return pixels (h, w, 3) as (1, 3, h, w)."""
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()


def compare_classes(segmenter: Any, theirs: Any, photos: list[Path], work: Path) -> Compared:
    """Compare logits and class maps."""
    heads, fitted, natural = 0.0, [], []
    for photo in photos:
        for stem, shares in ((f"{photo.stem}-fitted", fitted), (photo.stem, natural)):
            result = segmenter(read_image(work / f"{stem}.png"))
            assert isinstance(result, SemanticResult)
            known = theirs[f"results/{stem}"] != 255  # elsewhere PixelLib blended colours
            shares.append(float((result.class_map == theirs[f"results/{stem}"])[known].mean()))
        found, _ = segmenter.heads(read_image(work / f"{photo.stem}-fitted.png"))
        wanted = theirs[f"heads/{photo.stem}"].transpose(2, 0, 1)
        difference = float(np.abs(found["logits"][0] - wanted).max())
        heads = max(heads, difference)
        classes = len(np.unique(theirs[f"results/{photo.stem}-fitted"]))
        print(f"{photo.name:28}{classes:4} classes{difference:10.1e}{fitted[-1]:10.4%}{natural[-1]:10.4%}", flush=True)
    return Compared(heads, fitted, natural)


def compare_objects(segmenter: Any, theirs: Any, photos: list[Path], work: Path) -> Compared:
    """Compare detections and what PixelLib makes of them."""
    heads, fitted, natural = 0.0, [], []
    for photo in photos:
        counts = []
        for stem, shares in ((f"{photo.stem}-fitted", fitted), (photo.stem, natural)):
            result = segmenter(read_image(work / f"{stem}.png"))
            assert isinstance(result, InstanceResult)
            packed = theirs[f"results/{stem}/masks"]
            masks = np.unpackbits(packed, axis=-1, count=result.size[1]).astype(bool)
            pairs = matched(result, masks, theirs[f"results/{stem}/class_ids"] - 1)
            shares.append(2 * pairs / max(len(masks) + len(result), 1))
            counts.append((len(masks), len(result)))
        picture = read_image(work / f"{photo.stem}-fitted.png")
        heads_found, geometry = segmenter.heads(picture)
        found = {name: array[0] for name, array in heads_found.items()}
        difference, alone = head_difference(found, theirs, photo.stem, geometry.network_size[0])
        heads = max(heads, difference)
        print(f"{photo.name:28}{counts!s:24}{difference:10.1e}{fitted[-1]:10.4%}{natural[-1]:10.4%}", flush=True)
        print(f"  {alone} of Keras's detections have no row of their class and box")
        if isinstance(segmenter, InTorch):
            own = {name.rpartition("/")[2]: theirs[name] for name in theirs if name.startswith(f"heads/{photo.stem}/")}
            for line in compare_stages(segmenter.core, own, segmenter.inputs(picture)):
                print(f"  {line}", flush=True)
    return Compared(heads, fitted, natural)


def matched(ours: InstanceResult, masks: np.ndarray, class_ids: np.ndarray) -> int:
    """Return how many objects have a partner of their class with an IoU above 0.95, each partner taken once."""
    taken, pairs = set(), 0
    own = ours.masks.reshape(len(ours), -1).astype(np.float32)
    rows = masks.reshape(len(masks), -1).astype(np.float32)
    shared = own @ rows.T
    union = own.sum(1)[:, None] + rows.sum(1)[None] - shared
    iou = np.where(union > 0, shared / np.maximum(union, 1), 1.0) * (ours.class_ids[:, None] == class_ids[None])
    for index in range(len(ours)):
        best = next((one for one in np.argsort(-iou[index]) if one not in taken), None)
        if best is not None and iou[index, best] > LEAST_IOU:
            taken.add(best)
            pairs += 1
    return pairs


def head_difference(found: Any, theirs: Any, stem: str, size: int) -> tuple[float, int]:
    """Return the largest difference of scores, masks and boxes (as shares of the input) of the same detections.

    Rows are paired by class and box, for rows of nearly equal score may change places; how many have no partner within
    a pixel is returned, too.
    """
    detections, masks = theirs[f"heads/{stem}/detections"], theirs[f"heads/{stem}/masks"]
    rows = np.flatnonzero(detections[:, 4] > 0)
    scale = size - 1
    boxes = detections[:, [1, 0, 3, 2]] * scale + np.array([0, 0, 1, 1])
    worst, alone = 0.0, 0
    for row in rows:
        off = np.abs(found["boxes"] - boxes[row]).max(1)
        off[found["class_ids"] != detections[row, 4]] = np.inf
        partner = int(off.argmin())
        if off[partner] > 1:
            alone += 1
            continue
        worst = max(
            worst,
            float(off[partner]) / size,
            abs(float(found["scores"][partner]) - float(detections[row, 5])),
            float(np.abs(found["masks"][partner] - masks[row]).max()),
        )
    return worst, alone


class InTorch:
    """The network in torch and the decode rule, called as a segmenter: a bundle without its ONNX file."""

    def __init__(self, name: str, size: int, weights: Path, changes: dict[str, Any]) -> None:
        made = build(Request(find_model(MODELS[name]), (size, size), Weights("file", weights)))
        self._exportable = made
        self._decode = msgspec.structs.replace(made.decode, **changes) if changes else made.decode  # type: ignore[type-var]
        self._specs, self._network = input_specs(made, (size, size)), ByteInput(made)
        self.core = made.core

    def inputs(self, picture: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the normalised pixels (1, 3, h, w) and the valid mask (1, h, w) of a picture, uint8 BGR."""
        arrays, _ = network_inputs(self._specs, picture)
        return self._network.pixels(torch.from_numpy(arrays["image"])), torch.from_numpy(arrays["valid_mask"])

    def heads(self, picture: Any) -> tuple[dict[str, np.ndarray], Any]:
        """Return the heads of a picture, uint8 BGR, and where it lies."""
        arrays, geometry = network_inputs(self._specs, picture)
        with torch.no_grad():
            made = self._network(torch.from_numpy(arrays["image"]), torch.from_numpy(arrays["valid_mask"]))
        made = made if isinstance(made, tuple) else (made,)
        return {name: head.numpy() for (name, _), head in zip(self._exportable.heads, made, strict=True)}, geometry

    def __call__(self, picture: Any) -> Any:
        """Return the result of a picture."""
        found, geometry = self.heads(picture)
        by_role = {role: found[name][0] for name, role in self._exportable.heads}
        return find_decoder(self._decode, "cpu")(by_role, geometry, Context(self._decode, self._exportable.labels))


def run(
    name: str, size: int, folder: Path, photos: list[Path], python: str, work: Path, *, in_torch: bool, zeros: bool
) -> Compared:
    """Export what Keras saved, or not with `in_torch`, and compare; what lies in `work` already is taken."""
    if not (work / "theirs.npz").is_file():
        prepare(name, size, photos, work)
        print("running PixelLib", flush=True)
        script = Path(__file__).with_name("pixellib_in_keras.py")
        how = [] if zeros else ["inside"]
        subprocess.run([python, script, name, folder, work, str(size), *how], check=True, stdout=subprocess.DEVNULL)
    threshold = {} if name == "deeplab" else {"score_threshold": 0.5}
    compare = compare_classes if name == "deeplab" else compare_objects
    if in_torch:
        return compare(InTorch(name, size, work / "weights.h5", threshold), np.load(work / "theirs.npz"), photos, work)
    if not (work / "bundle").is_dir():
        print("exporting what it saved", flush=True)
        given = Weights("file", work / "weights.h5")
        options = ExportOptions(given, size=(size, size), parity_images=photos[0].parent, threads=2)
        export_model(MODELS[name], work / "bundle", options, say=print)
    with open_bundle(work / "bundle", threads=2, **threshold) as segmenter:
        return compare(segmenter, np.load(work / "theirs.npz"), photos, work)


def main() -> None:
    """Compare what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=sorted(MODELS))
    parser.add_argument("pixellib", type=Path)
    parser.add_argument("photos", type=Path, help="a folder of JPEGs, three at least")
    parser.add_argument("--keras-python", default=sys.executable)
    parser.add_argument("--size", type=int, help="of the network's input; 512 and 1024 are PixelLib's own")
    parser.add_argument("--work", type=Path, help="a folder where everything is kept, and found again")
    parser.add_argument("--zeros", action="store_true", help="leave TensorFlow's zeros beyond a map")
    parser.add_argument("--torch", action="store_true", help="compare the network in torch, without an export")
    given = parser.parse_args()
    if subprocess.run([given.keras_python, "-c", "import tensorflow"], capture_output=True, check=False).returncode:
        print(f"{given.keras_python} has no TensorFlow: nothing is compared")
        return
    photos = sorted(given.photos.glob("*.jpg"))
    size = given.size or SIZES[given.network]
    with tempfile.TemporaryDirectory(prefix="pixellib-") as folder:
        work = given.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        python, how = given.keras_python, {"in_torch": given.torch, "zeros": given.zeros}
        compared = run(given.network, size, given.pixellib, photos, python, work, **how)
    least = LEAST_PIXELS if given.network == "deeplab" else 1.0
    print(f"heads {compared.heads:.1e}, fitted {min(compared.fitted):.4%}, as they are {min(compared.as_they_are):.4%}")
    sys.exit(0 if compared.heads <= MOST_HEADS and min(compared.fitted) >= least else 1)


if __name__ == "__main__":
    main()
