"""Which module of the source framework produced each node of an ONNX graph, read without the onnx package.

The name of a weight that a node reads tells its module ("backbone.conv1.weight"). For other nodes torch's exporter
writes the scopes of the module into the metadata, and `segrt export` keeps them under a key of its own. Where there is
neither, a node counts to the module of the node before it.
"""

import ast
import mmap
from dataclasses import dataclass
from pathlib import Path

from segrt.runtime.errors import BundleError
from segrt.runtime.files.protobuf import fields
from segrt.runtime.inference.onnx_scan import mapped, scan

MODULE_KEY = "segrt.module"
TORCH_KEY = "pkg.torch.onnx.name_scopes"

# Field numbers of onnx.proto.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_OPERATOR, _NODE_METADATA = 1, 2, 3, 4, 9
_TENSOR_NAME = 8
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_LONGEST_SCOPES = 1 << 14


@dataclass(frozen=True)
class Node:
    """A node of the graph. `module` is "" for the network itself and where nothing tells."""

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    module: str


def read_nodes(path: Path) -> tuple[Node, ...]:
    """Return the nodes of the ONNX file at `path` in the graph's order, subgraphs left out.

    Raises BundleError when it is no ONNX file, or keeps tensors in other files.
    """
    with mapped(path) as data:
        scan(data, str(path))
        try:
            return _nodes(data)
        except (ValueError, IndexError) as error:
            raise BundleError(f"{path}: is no ONNX file ({error}); export the network again") from None


def scopes_to_module(scopes: str) -> str:
    """Return the module in torch's list of scopes, as text: "['', 'head', 'head.attn', 'linear']" → "head.attn"."""
    if len(scopes) > _LONGEST_SCOPES:
        return ""
    try:
        names = ast.literal_eval(scopes)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):  # of a parser for all of Python
        return ""
    if not isinstance(names, list) or len(names) < 2:
        return ""
    return str(names[-2])


def weight_to_module(weight: str) -> str:
    """Return the module that owns a weight, by its name: "head.conv.weight_bias" → "head.conv"; "" for "val_3"."""
    module, dot, parameter = weight.rpartition(".")
    owned = parameter.startswith(("weight", "bias", "running_", "in_proj", "gamma", "beta"))
    return module if dot and owned else ""


def _nodes(data: mmap.mmap) -> tuple[Node, ...]:
    graphs = [
        (first, last) for number, wire, first, last in fields(data, 0, len(data)) if (number, wire) == (_MODEL_GRAPH, 2)
    ]
    if len(graphs) != 1:
        raise ValueError(f"has {len(graphs)} graphs")
    raw: list[dict[int, list[str]]] = []
    weights: set[str] = set()
    for number, wire, first, last in fields(data, *graphs[0]):
        if wire != 2:
            continue
        if number == _GRAPH_NODE:
            raw.append(_node(data, first, last))
        elif number == _GRAPH_INITIALIZER:
            weights.update(
                _text(data, start, end)
                for field, kind, start, end in fields(data, first, last)
                if (field, kind) == (_TENSOR_NAME, 2)
            )
    made: dict[str, str] = {}  # tensor: module of the node that makes it
    nodes = []
    for node in raw:
        inputs, outputs = node[_NODE_INPUT], node[_NODE_OUTPUT]
        owners = (weight_to_module(name) for name in inputs if name in weights)
        module = next(filter(None, owners), "")
        if not module and node[_NODE_METADATA]:
            module = node[_NODE_METADATA][0]
        elif not module:
            module = next((made[name] for name in inputs if made.get(name)), "")
        made.update(dict.fromkeys(outputs, module))
        name = next(iter(node[_NODE_NAME]), "")
        nodes.append(Node(name, next(iter(node[_NODE_OPERATOR]), ""), tuple(inputs), tuple(outputs), module))
    return tuple(nodes)


def _node(data: mmap.mmap, start: int, end: int) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {
        field: [] for field in (_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_OPERATOR, _NODE_METADATA)
    }
    for number, wire, first, last in fields(data, start, end):
        if wire != 2 or number not in found:
            continue
        if number != _NODE_METADATA:
            found[number].append(_text(data, first, last))
            continue
        entry = {field: _text(data, *place) for field, kind, *place in fields(data, first, last) if kind == 2}
        key, value = entry.get(_ENTRY_KEY, ""), entry.get(_ENTRY_VALUE, "")
        if key == MODULE_KEY:
            found[number].insert(0, value)
        elif key == TORCH_KEY:
            found[number].append(scopes_to_module(value))
    return found


def _text(data: mmap.mmap, start: int, end: int) -> str:
    return data[start:end].decode("utf-8", "replace")
