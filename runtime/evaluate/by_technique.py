"""What is known of each technique when it is evaluated: its main metric, and what its results can be judged as."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MainMetric:
    """The metric by which a technique is compared.

    name: its key in `Evaluation.metrics`. title: how people write it. by_class: the key of a class's own in
    `Evaluation.per_class`. of_image: how people call one image's own figure.
    """

    name: str
    title: str
    by_class: str
    of_image: str


MAIN_METRIC = {
    "semantic": MainMetric("miou", "mIoU", by_class="iou", of_image="mIoU"),
    "instance": MainMetric("ap", "mask AP", by_class="ap", of_image="quality"),
    "panoptic": MainMetric("pq", "PQ", by_class="pq", of_image="PQ"),
}
TECHNIQUES = tuple(MAIN_METRIC)
# A panoptic map says which class and which object a pixel is of.
JUDGED_AS = {"semantic": ("semantic",), "instance": ("instance",), "panoptic": TECHNIQUES}
NEEDED_TRUTH = {
    "semantic": "a class for every pixel: COCO panoptic annotations or label maps",
    "instance": "objects: COCO instances or COCO panoptic annotations",
    "panoptic": "COCO panoptic annotations",
}
