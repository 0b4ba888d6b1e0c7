"""Lets NVIDIA's own parser and builder try an ONNX file, without a GPU.

TensorRT-RTX parses and builds on any x86-64 machine. What it refuses is named with the module of the network that
produced the node, so that its author knows where to look.
"""

from dataclasses import dataclass
from pathlib import Path

from segrt.runtime.inference.engine_policy import BuildOptions, Progress
from segrt.runtime.inference.layers.module_names import Node, read_nodes
from segrt.runtime.inference.tensorrt.building import BuildError, build
from segrt.runtime.inference.tensorrt.flavor import find_flavor
from segrt.runtime.inference.tensorrt.parsing import ParseError, Refusal, parse
from segrt.runtime.inference.tensors import TensorSpec


@dataclass(frozen=True)
class RefusedNode:
    """A node that TensorRT refuses; `module` is where it comes from ("decoder.norm"), "" for the network itself."""

    name: str
    operator: str
    module: str
    reason: str

    def __str__(self) -> str:
        origin = f" of module {self.module!r}" if self.module else ""
        return f"{self.operator or 'node'} {self.name!r}{origin}: {self.reason}"


@dataclass(frozen=True)
class TensorRtCheck:
    """What NVIDIA's builder made of an ONNX file.

    builder: flavour and version, "tensorrt-rtx 1.7.1.116".
    built: whether there is an engine; `plan_bytes` is its size, 0 without one.
    refused: the nodes that stand in the way; empty where the builder names none, and always when `built`.
    reason: why there is no engine, in one line; "" when `built`.
    inputs, outputs: the tensors as TensorRT sees them; empty when the parser refuses the file.
    """

    builder: str
    built: bool
    plan_bytes: int = 0
    refused: tuple[RefusedNode, ...] = ()
    reason: str = ""
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()

    def __bool__(self) -> bool:
        return self.built


def check_tensorrt(
    path: Path, *, flavor: str = "auto", batch: int = 1, progress: Progress | None = None
) -> TensorRtCheck:
    """Parse the ONNX file at `path` and build an engine of it, which is thrown away.

    `batch` is what a network with an open batch is built for. Raises BackendError when no TensorRT is installed that
    can do so; a network that TensorRT refuses is no error here, but what is returned.
    """
    builder = find_flavor(flavor, on_gpu=False)
    try:
        parsed = parse(path, builder)
    except ParseError as error:
        nodes = _refused(path, error.refusals)
        return TensorRtCheck(str(builder), False, refused=nodes, reason=str(nodes[0]))
    try:
        built = build(parsed, BuildOptions(batch=batch, detailed=False), progress=progress)
    except BuildError as error:
        nodes = _refused(path, error.refusals)
        reason = str(nodes[0]) if nodes else str(error)
        return TensorRtCheck(
            str(builder), False, refused=nodes, reason=reason, inputs=parsed.inputs, outputs=parsed.outputs
        )
    return TensorRtCheck(str(builder), True, built.plan.nbytes, inputs=parsed.inputs, outputs=parsed.outputs)


def _refused(path: Path, refusals: tuple[Refusal, ...]) -> tuple[RefusedNode, ...]:
    nodes: dict[str, Node] = {node.name: node for node in read_nodes(path)}
    unknown = Node("", "", (), (), "")
    return tuple(
        RefusedNode(
            refusal.name,
            refusal.operator or nodes.get(refusal.name, unknown).operator,
            nodes.get(refusal.name, unknown).module,
            refusal.reason,
        )
        for refusal in refusals
    )
