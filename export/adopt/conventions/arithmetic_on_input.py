"""Networks that normalise their picture themselves: the first steps of the graph say what they are fed.

Keras's `Rescaling` and `Normalization` layers, and wrappers that subtract a mean and divide by a deviation before the
network, leave a chain of Sub, Mul, Div and Add with constants at the input.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segrt.export.adopt.conventions.convention import Convention, Normalisation
from segrt.export.graph.editing import Graph

_MOST = 3.5  # standard deviations: what a normalised picture is within
_LEAST_SPREAD = 0.9  # of a normalised picture from black to white
_UNCHANGED = ("Cast", "Identity", "Transpose")
_LINEAR = ("Add", "Sub", "Mul", "Div")


def arithmetic_on_input(graph: Graph) -> Convention | None:
    """Return what a network is fed that begins by normalising it, None for one that does not."""
    images = [spec for spec in graph.inputs if len(spec.shape) in (3, 4)]
    steps = _steps(graph, images[0].name) if len(images) == 1 else None
    if steps is None or (np.all(steps.factor == 1) and not steps.offset.any()):
        return None
    for white, scale in ((255.0, 1.0), (1.0, 1 / 255)):
        darkest, lightest = steps.offset, steps.factor * white + steps.offset
        within = max(np.abs(darkest).max(), np.abs(lightest).max()) <= _MOST
        if within and np.abs(lightest - darkest).min() >= _LEAST_SPREAD:
            return Convention(
                exporter="the network",
                normalisation=Normalisation(scale),
                is_read=True,
                notes=(f"the network normalises its picture itself: it is fed 0 to {white:g}",),
            )
    return None


@dataclass(frozen=True)
class _Steps:
    """What is done first: x * factor + offset, one number or one for each channel."""

    factor: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]

    def then(self, kind: str, value: npt.NDArray[np.float64], *, is_first: bool) -> "_Steps | None":
        """Return the steps with one more, whose constant may be the first operand; None for one that is not linear."""
        if value.size not in (1, 3) or (kind == "Div" and (is_first or not value.all())):
            return None
        if kind == "Mul":
            return _Steps(self.factor * value, self.offset * value)
        if kind == "Div":
            return _Steps(self.factor / value, self.offset / value)
        if kind == "Add":
            return _Steps(self.factor, self.offset + value)
        return _Steps(-self.factor, value - self.offset) if is_first else _Steps(self.factor, self.offset - value)


def _steps(graph: Graph, name: str) -> _Steps | None:
    """Return the arithmetic that stands alone behind input `name`, None without any."""
    constants = _constants(graph)
    steps, found = _Steps(np.ones(1), np.zeros(1)), False
    while True:
        users = [node for node in graph.model.graph.node if name in node.input]
        if len(users) != 1:
            break
        (node,) = users
        name = node.output[0]
        if node.op_type in _UNCHANGED:
            continue
        values = [constants[other] for other in node.input if other in constants]
        if node.op_type not in _LINEAR or len(node.input) != 2 or len(values) != 1:
            break
        more = steps.then(node.op_type, values[0], is_first=node.input[0] in constants)
        if more is None:
            break
        steps, found = more, True
    return steps if found else None


def _constants(graph: Graph) -> dict[str, npt.NDArray[np.float64]]:
    import onnx

    tensors = {each.name: each for each in graph.model.graph.initializer}
    for node in graph.model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensors[node.output[0]] = node.attribute[0].t
    few = {name: each for name, each in tensors.items() if np.prod(each.dims, dtype=np.int64) <= 3}
    return {name: onnx.numpy_helper.to_array(each).astype(np.float64).ravel() for name, each in few.items()}
