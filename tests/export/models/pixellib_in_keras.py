"""PixelLib's own networks on given weights and pictures, in the Python that has TensorFlow.

    python tests/export/models/pixellib_in_keras.py deeplab|maskrcnn PIXELLIB WORK SIZE [inside]

WORK/weights.npz ("LAYER/kind" → array) goes into the network that PixelLib's code builds, which saves it as
WORK/weights.h5; WORK/pixels.npz holds inputs, and WORK/*.png pictures. WORK/theirs.npz gets what the network makes of
the inputs ("heads/…"), and what PixelLib makes of the pictures ("results/…"). With `inside` crop_and_resize reads a
map's last cell where it would give 0, see `keep_points_inside`. Called by `original_pixellib.py`.
"""

import os
import sys
import types
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import cv2
import numpy as np
import tensorflow as tf

Found = dict[str, Any]


def let_pixellib_be_imported(folder: Path) -> None:
    """Stand in for what it needs of older packages, and for `imantics`, which it does not need here."""
    np.bool = bool  # type: ignore[attr-defined,misc]
    imantics: Any = types.ModuleType("imantics")
    imantics.Polygons = imantics.Mask = object
    utils: Any = types.ModuleType("layer_utils")
    utils.get_source_inputs = tf.keras.utils.get_source_inputs
    import tensorflow.python.keras as inner

    inner.layers = tf.keras.layers
    sys.modules |= {
        "imantics": imantics,
        "tensorflow.python.keras.models": tf.keras.models,
        "tensorflow.python.keras.layers": tf.keras.layers,
        "tensorflow.python.keras.utils.layer_utils": utils,
    }
    sys.path.insert(0, str(folder))


def give(network: Any, weights: Any) -> None:
    """Put `weights` into `network`; every array must have its place, and every place its array."""
    left = set(weights.files)

    def fill(layer: Any, inner: Any) -> None:
        names = [f"{layer.name}/{weight.name.rpartition('/')[2].partition(':')[0]}" for weight in inner.weights]
        inner.set_weights([weights[name] for name in names])
        left.difference_update(names)

    for layer in network.layers:
        for part in getattr(layer, "layers", [layer]):
            if part.weights:
                fill(part, part)
    if left:
        raise SystemExit(f"no layer takes {sorted(left)[:4]}")


def deeplab(work: Path, size: int) -> Found:
    """Logits of the last layer, and PixelLib's class map of every picture."""
    from pixellib import semantic
    from pixellib.semantic.deeplab import Deeplab_xcep_pascal

    network = Deeplab_xcep_pascal(input_shape=(size, size, 3), weights=None)
    own = network.get_layer("custom_logits_semantic")
    weights = np.load(work / "weights.npz")
    give(network, _Renamed(weights, "logits_semantic", own.name))
    network.save_weights(str(work / "weights.h5"))
    inputs = np.load(work / "pixels.npz")
    logits = tf.keras.Model(network.input, own.output)
    found: Found = {f"heads/{name}": logits.predict(inputs[name][None], verbose=0)[0] for name in inputs.files}
    whole = object.__new__(semantic.semantic_segmentation)  # its __init__ builds a second network
    whole.model, semantic.model_file = network, "h5"
    colours = semantic.create_pascal_label_colormap()[:21]
    for path in sorted(work.glob("*.png")):
        _, drawn = whole.segmentAsPascalvoc(str(path))
        same = (drawn[..., None, ::-1] == colours).all(-1)
        found[f"results/{path.stem}"] = np.where(same.any(-1), same.argmax(-1), 255).astype(np.uint8)
    return found


class _Renamed:
    """Arrays by name, one layer under another name."""

    def __init__(self, arrays: Any, layer: str, name: str) -> None:
        self._names = {f"{name}/{part}": f"{layer}/{part}" for part in ("kernel", "bias")}
        self._arrays = arrays
        self.files = [name for name in arrays.files if not name.startswith(f"{layer}/")] + list(self._names)

    def __getitem__(self, name: str) -> Any:
        return self._arrays[self._names.get(name, name)]


def keep_points_inside() -> None:
    """Let crop_and_resize read a map's last cell at points that are to lie on it, and a rounding error beyond it do.

    TensorFlow gives 0 at such points, a whole row or column of a box at the input's edge: whether it does depends on
    the last bit of the box's other side, and with it on the order in which a convolution added up.
    """
    original = tf.image.crop_and_resize

    def inside(image: Any, boxes: Any, *rest: Any, **options: Any) -> Any:
        return original(image, tf.clip_by_value(boxes, 0.0, 1 - 2.0**-21), *rest, **options)

    tf.image.crop_and_resize = inside


def maskrcnn(work: Path, size: int) -> Found:
    """Every stage's results, and what PixelLib finds in every picture, from a confidence of 0.5 on."""
    from pixellib.instance import coco_config
    from pixellib.instance.mask_rcnn import MaskRCNN, compose_image_meta

    coco_config.DETECTION_MIN_CONFIDENCE = 0.5
    coco_config.IMAGE_MAX_DIM, coco_config.IMAGE_MIN_DIM = size, 800 if size == 1024 else size
    coco_config.IMAGE_SHAPE = np.array([size, size, 3])
    whole = MaskRCNN("inference", coco_config, str(work))
    network = whole.keras_model
    give(network, np.load(work / "weights.npz"))
    network.save_weights(str(work / "weights.h5"))
    inputs, found = np.load(work / "pixels.npz"), {}
    anchors = whole.get_anchors(coco_config.IMAGE_SHAPE)[None]
    for name in inputs.files:
        if name.endswith("/window"):
            continue
        classes = np.zeros(coco_config.NUM_CLASSES, np.int32)
        meta = compose_image_meta(0, (1, 1, 3), coco_config.IMAGE_SHAPE, inputs[f"{name}/window"], 1.0, classes)
        made = network.predict([inputs[name][None], meta[None], anchors], verbose=0)
        found[f"heads/{name}/detections"], masks = made[0][0], made[3][0]
        found[f"heads/{name}/masks"] = masks[np.arange(len(masks)), :, :, made[0][0][:, 4].astype(int)]
        for part, place in (("classes", 1), ("moves", 2), ("rois", 4), ("rpn", 5), ("rpn_moves", 6)):
            found[f"heads/{name}/{part}"] = made[place][0]
    for path in sorted(work.glob("*.png")):
        result = whole.detect([cv2.imread(str(path))[..., ::-1]])[0]
        for part in ("rois", "class_ids", "scores"):
            found[f"results/{path.stem}/{part}"] = result[part]
        found[f"results/{path.stem}/masks"] = np.packbits(result["masks"].astype(bool).transpose(2, 0, 1), axis=-1)
    return found


def main() -> None:
    """Run the network that is named."""
    name, folder, work, size, *how = sys.argv[1:]
    let_pixellib_be_imported(Path(folder))
    if how == ["inside"]:
        keep_points_inside()
    found = {"deeplab": deeplab, "maskrcnn": maskrcnn}[name](Path(work), int(size))
    np.savez(Path(work) / "theirs.npz", **found)


if __name__ == "__main__":
    main()
