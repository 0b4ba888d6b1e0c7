"""Opening a data set of whatever kind: the table of kinds, and `open_dataset`."""

import os
from collections.abc import Sequence
from pathlib import Path

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.datasets.coco_dataset import open_coco
from segrt.runtime.evaluate.datasets.dataset import Address, Dataset, DatasetKind
from segrt.runtime.registry import Registry
from segrt.runtime.results import Label

# A file that no kind recognises is a COCO JSON, or is told that it should be one.
DATASETS: Registry[DatasetKind] = Registry(
    "kind of data set",
    {
        "street-clips": "segrt.runtime.evaluate.datasets.street_clips:STREET_CLIPS",
        "street": "segrt.runtime.evaluate.datasets.street_dataset:STREET",
        "kitti-step": "segrt.runtime.evaluate.datasets.kitti_step:KITTI_STEP",
        "label-folder": "segrt.runtime.evaluate.datasets.label_folders:LABEL_FOLDER",
    },
)


def open_dataset(
    annotations: "str | os.PathLike[str]",
    images: "str | os.PathLike[str] | None" = None,
    panoptic_dir: "str | os.PathLike[str] | None" = None,
    *,
    labels: Sequence[Label] | None = None,
    ignored: Sequence[int] = (),
    mapped: Sequence[tuple[int, int]] = (),
) -> Dataset:
    """Open a COCO JSON, panoptic or instances, a folder of label pictures, or a street world by its address.

    Clips are opened as well: COCO panoptic video and YouTube-VIS (a JSON with videos), KITTI-STEP (its folder
    `panoptic_maps`), and `street://?clips=…`; see `clips_of`.

    Args:
        annotations: the JSON file, or `street://?seed=…&frames=…&width=…&height=…`; or a
            folder of label pictures, see `label_folders`.
        images: the folder of the pictures; by default `images` beside the JSON.
        panoptic_dir: the folder of the panoptic PNG files; by default the JSON's path without its suffix, as COCO has
            it.
        labels: the classes of a folder of label pictures; a JSON names its own.
        ignored: the ids of label pictures that are void, classes among them; nothing said: 255.
        mapped: (value, id) pairs: such values of label pictures stand for these ids.

    Raises:
        SegrtError: the file is missing, no COCO JSON, or holds no annotations, or has no values to ignore or map.
    """
    address = Address(
        os.fspath(annotations),
        None if images is None else Path(images),
        None if panoptic_dir is None else Path(panoptic_dir),
        None if labels is None else tuple(labels),
        tuple(ignored),
        tuple(mapped),
    )
    return open_address(address)


def open_address(address: Address) -> Dataset:
    """Open the data set at `address`; see `open_dataset`."""
    kind = next((kind for kind in map(DATASETS.load, DATASETS) if kind.recognises(address)), None)
    if (address.ignored or address.mapped) and (kind is None or not kind.has_values):
        given = "--ignore-label" if address.ignored else "--map-values"
        raise SegrtError(f"{given} is for label pictures, but {address.annotations} is another data set; leave it out")
    return open_coco(address) if kind is None else kind.open(address)
