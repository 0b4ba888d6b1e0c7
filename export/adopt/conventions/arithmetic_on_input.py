"""Networks that normalise their picture themselves: the first steps of the graph say what they are fed.

Keras's `Rescaling` and `Normalization` layers, and wrappers that subtract a mean and divide by a deviation before the
network, leave a chain of Sub, Mul, Div and Add with constants at the input; one that turns the order of the channels
around leaves a Gather or a Slice.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from segrt.export.adopt.conventions.convention import IMAGENET_MEAN, Convention, Normalisation, Problem
from segrt.export.graph.editing import Graph
from segrt.runtime.inference.tensors import TensorSpec

if TYPE_CHECKING:
    import onnx

_MOST = 3.5  # standard deviations: what a normalised picture is within
_LEAST_SPREAD = 0.9  # of a normalised picture from black to white
_DARKEST_MEAN, _LIGHTEST_MEAN = 60, 150  # of bytes: data sets' means that are subtracted alone
_NEAR = 0.02  # ImageNet's mean as its users write it: 123.68 / 255, 103.53 / 255
_UNCHANGED = ("Cast", "Identity", "Transpose")
_LINEAR = ("Add", "Sub", "Mul", "Div")
_LOOKS_ON = ("Shape", "Size")  # what resizes the result to the picture's size reads that alone


def arithmetic_on_input(graph: Graph) -> Convention | None:
    """Return what a network is fed that begins by normalising it, None for one that does not."""
    images = [spec for spec in graph.inputs if len(spec.shape) in (3, 4)]
    steps = _steps(graph, images[0]) if len(images) == 1 else None
    if steps is None:
        return None
    for white, scale in ((255.0, 1.0), (1.0, 1 / 255)):
        if steps.expects(white):
            color = steps.color(white)
            notes = [f"the network normalises its picture itself: it is fed 0 to {white:g}"]
            if color == "bgr":
                notes.append("the mean that it subtracts is ImageNet's from blue to red: it is fed bgr")
            return Convention(
                exporter="the network",
                color=color,
                normalisation=Normalisation(scale),
                is_read=True,
                problems=_question(images[0].name, color) if steps.is_turned else (),
                notes=notes,
            )
    if steps.is_turned:
        return Convention(problems=_question(images[0].name, None))
    return None


def _question(name: str, color: str | None) -> tuple[Problem, ...]:
    if color is not None:
        return ()
    return (
        Problem("color", f"the network turns the channels of its input {name!r} around, and does not say from what"),
    )


@dataclass(frozen=True)
class _Steps:
    """What is done first: x * factor + offset, one number or one for each channel, in the order of the input's own.

    `is_turned`: the channels' order is turned around on the way.
    """

    factor: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]
    is_turned: bool = False

    def then(self, kind: str, value: npt.NDArray[np.float64], *, is_first: bool) -> "_Steps | None":
        """Return the steps with one more, whose constant may be the first operand; None for one that is not linear."""
        if value.size not in (1, 3) or (kind == "Div" and (is_first or not value.all())):
            return None
        value = value[::-1] if self.is_turned else value
        if kind == "Mul":
            return _Steps(self.factor * value, self.offset * value, self.is_turned)
        if kind == "Div":
            return _Steps(self.factor / value, self.offset / value, self.is_turned)
        if kind == "Add":
            return _Steps(self.factor, self.offset + value, self.is_turned)
        factor, offset = (-self.factor, value - self.offset) if is_first else (self.factor, self.offset - value)
        return _Steps(factor, offset, self.is_turned)

    def turned(self) -> "_Steps":
        """Return the steps with the channels turned around once more."""
        return _Steps(self.factor, self.offset, not self.is_turned)

    def expects(self, white: float) -> bool:
        """Whether the steps make a normalised picture, or one less its mean, of one from 0 to `white`."""
        if np.all(self.factor == 1) and not self.offset.any():
            return False
        darkest, lightest = self.offset, self.factor * white + self.offset
        within = max(np.abs(darkest).max(), np.abs(lightest).max()) <= _MOST
        if within and np.abs(lightest - darkest).min() >= _LEAST_SPREAD:
            return True
        means = -self.offset
        is_bytes = np.allclose(self.factor * white, 255, rtol=0.01)
        return bool(is_bytes and means.min() >= _DARKEST_MEAN and means.max() <= _LIGHTEST_MEAN)

    def color(self, white: float) -> Literal["rgb", "bgr"] | None:
        """Return the order of the input's channels as far as ImageNet's mean among the steps tells it."""
        mean = np.broadcast_to(-self.offset / self.factor / white, 3)
        orders: tuple[Literal["rgb", "bgr"], ...] = ("rgb", "bgr")
        for order, known in zip(orders, (IMAGENET_MEAN, IMAGENET_MEAN[::-1]), strict=True):
            if np.abs(mean - known).max() <= _NEAR:
                return order
        return None


def _steps(graph: Graph, image: TensorSpec) -> _Steps | None:
    """Return the arithmetic that stands alone behind the input `image`, None without any."""
    constants = _constants(graph)
    axis = next((axis for axis in (-3, -1) if image.shape[axis] == 3), -3) + len(image.shape)
    steps, found, name = _Steps(np.ones(1), np.zeros(1)), False, image.name
    while True:
        users = [node for node in graph.model.graph.node if name in node.input and node.op_type not in _LOOKS_ON]
        if len(users) != 1:
            break
        (node,) = users
        name = node.output[0]
        if node.op_type in _UNCHANGED:
            axis = _moved(axis, len(image.shape), node)
            continue
        if _turns_around(node, axis, len(image.shape), constants):
            steps, found = steps.turned(), True
            continue
        values = [constants[other] for other in node.input if other in constants]
        if node.op_type not in _LINEAR or len(node.input) != 2 or len(values) != 1:
            break
        more = steps.then(node.op_type, values[0], is_first=node.input[0] in constants)
        if more is None:
            break
        steps, found = more, True
    return steps if found else None


def _moved(axis: int, rank: int, node: "onnx.NodeProto") -> int:
    """Return where axis `axis` of the node's input, of `rank` axes, is in its output."""
    if node.op_type != "Transpose":
        return axis
    order = next((list(attribute.ints) for attribute in node.attribute if attribute.name == "perm"), None)
    return rank - 1 - axis if order is None else order.index(axis)


def _turns_around(
    node: "onnx.NodeProto", channels: int, rank: int, constants: dict[str, npt.NDArray[np.float64]]
) -> bool:
    """Whether a node turns the order of three channels around: x[:, [2, 1, 0]] or x[:, ::-1]."""
    given = [constants.get(name, np.zeros(0)).tolist() for name in node.input[1:]]
    if node.op_type in ("Gather", "GatherND"):
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
        return axis % rank == channels and given[0] in ([2, 1, 0], [-1, -2, -3])
    if node.op_type == "Slice" and len(given) == 4:
        start, end, axes, step = given
        ends = bool(start and end) and (start[0] == -1 or start[0] >= 2) and end[0] < -3
        return ends and [axis % rank for axis in axes] == [channels] and step == [-1]
    return False


def _constants(graph: Graph) -> dict[str, npt.NDArray[np.float64]]:
    import onnx

    tensors = {each.name: each for each in graph.model.graph.initializer}
    for node in graph.model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensors[node.output[0]] = node.attribute[0].t
    few = {name: each for name, each in tensors.items() if np.prod(each.dims, dtype=np.int64) <= 3}
    return {name: onnx.numpy_helper.to_array(each).astype(np.float64).ravel() for name, each in few.items()}
