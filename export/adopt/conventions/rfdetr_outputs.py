"""RF-DETR-Seg as Roboflow's package exports it: outputs dets, labels and masks, of queries."""

from segrt.export.adopt.conventions.convention import IMAGENET_MEAN, IMAGENET_STD, Convention, Normalisation
from segrt.export.graph.editing import Graph
from segrt.runtime.preprocess.input_spec import Resize


def rfdetr_outputs(graph: Graph) -> Convention | None:
    """Return RF-DETR's convention where the outputs are called as its exporter does and have its form; else None.

    mmdeploy uses the same names: there `dets` has five columns and `labels` are class ids; here `dets` has four, and
    `labels` are logits, (1, Q, C).
    """
    specs = {spec.name: spec for spec in graph.outputs}
    if not {"dets", "labels", "masks"} <= specs.keys():
        return None
    dets, labels, masks = (specs[name] for name in ("dets", "labels", "masks"))
    if len(dets.shape) != 3 or dets.shape[2] != 4 or len(labels.shape) != 3 or len(masks.shape) != 4:
        return None
    return Convention(
        "RF-DETR",
        "instance",
        normalisation=Normalisation(1 / 255, IMAGENET_MEAN, IMAGENET_STD),
        resize=Resize("stretch"),
        activation="sigmoid",
        notes=[
            "outputs are called and shaped as RF-DETR-Seg's: dets, labels, masks of queries; ImageNet's normalisation"
        ],
    )
