"""A network's layers with their multiply-adds: each node that has any, with the nodes behind it up to the next one."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from segrt.export.family import ATTENTION_SCORES
from segrt.export.precision.attention_scores import score_nodes
from segrt.export.precision.indexed_graph import IndexedGraph, module_of
from segrt.export.precision.precision_counts import MAC_OPS, count_graph
from segrt.runtime.errors import SegrtError

FIRST = "input"


@dataclass(frozen=True)
class Layer:
    """A layer of the network: the node that it is named after, its module, all of its nodes, its multiply-adds."""

    name: str
    module: str
    nodes: tuple[str, ...]
    macs: int

    @property
    def label(self) -> str:
        """The module's name where it is known, else the node's."""
        return self.module or self.name


def find_layers(net: IndexedGraph) -> list[Layer]:
    """Return the layers in the order of execution; what comes before the first one is a layer `input` of its own."""
    macs = count_graph(net).by_node
    heads: list[str] = []
    members: dict[int, list[str]] = {-1: []}
    place: dict[str, int] = {}
    for node in net.nodes:
        if node.op_type in MAC_OPS:
            heads.append(node.name)
            index = len(heads) - 1
            members[index] = []
        else:
            index = max((place.get(name, -1) for name in node.input), default=-1)
        members[index].append(node.name)
        place.update(dict.fromkeys(node.output, index))
    by_name = {node.name: node for node in net.nodes}
    layers = [
        Layer(name, module_of(by_name[name], net), tuple(members[index]), macs.get(name, 0))
        for index, name in enumerate(heads)
    ]
    return [Layer(FIRST, "", tuple(members[-1]), 0), *layers] if members[-1] else layers


def kept_nodes(net: IndexedGraph, patterns: Sequence[str], *, must_fit: bool = True) -> set[str]:
    """Return the nodes whose name, or whose module's, fits one of the patterns ("*nms*"); the modules inside it too.

    `ATTENTION_SCORES` fits the nodes of `score_nodes`, whatever they are called.
    With `must_fit` a pattern that fits nothing raises SegrtError, for what it means would not be kept.
    """
    kept: set[str] = set()
    for pattern in patterns:
        fitting = {
            node.name for node in net.nodes if fnmatchcase(node.name, pattern) or _inside(module_of(node, net), pattern)
        }
        if pattern == ATTENTION_SCORES:
            fitting |= score_nodes(net)
        if must_fit and not fitting:
            raise SegrtError(
                f"no node or module of the network is called {pattern!r}; correct the name or leave it out"
            )
        kept |= fitting
    return kept


def _inside(module: str, pattern: str) -> bool:
    return bool(module) and (fnmatchcase(module, pattern) or fnmatchcase(module, f"{pattern}.*"))
