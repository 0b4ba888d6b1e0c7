"""Networks that tf2onnx wrote, for TensorFlow and Keras: nothing in them says how pictures are prepared."""

from segrt.export.adopt.conventions.convention import Convention, Normalisation
from segrt.export.graph.editing import Graph

_WAYS = (
    "Keras has three usual ways: x/127.5 - 1, x/255 (--scale 0.0039216), and bytes that a layer rescales (--scale 1)"
)
_WHITE_AND_BLACK = Normalisation(1 / 127.5, (1.0, 1.0, 1.0))


def tf2onnx_producer(graph: Graph) -> Convention | None:
    """Return what is usual there: x/127.5 - 1, as `keras.applications` has it for MobileNet, Xception and DeepLab."""
    if graph.model.producer_name != "tf2onnx":
        return None
    return Convention(
        exporter="tf2onnx",
        normalisation=_WHITE_AND_BLACK,
        notes=() if all(spec.dtype == "uint8" for spec in graph.inputs) else (_WAYS,),
    )
