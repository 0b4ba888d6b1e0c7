"""Copies the names of torch's modules from the exporter's graph to the simplified one, which loses them."""

from typing import TYPE_CHECKING

from segrt.runtime.inference.layers.module_names import MODULE_KEY, TORCH_KEY, scopes_to_module

if TYPE_CHECKING:
    import onnx


def keep_modules(exported: "onnx.ModelProto", simplified: "onnx.ModelProto") -> int:
    """Write the module of each node of `exported` into the metadata of the same node of `simplified`.

    Nodes are the same when they have a name or an output in common; a node that the simplifier made takes the module
    of the first node that feeds it. All other metadata (source lines, paths of the exporting machine) is removed. The
    two may be one and the same graph. Returns the number of nodes whose module is known.
    """
    by_name: dict[str, str] = {}
    by_output: dict[str, str] = {}
    for node in exported.graph.node:
        for entry in node.metadata_props:
            if entry.key in (MODULE_KEY, TORCH_KEY):
                module = entry.value if entry.key == MODULE_KEY else scopes_to_module(entry.value)
                by_name[node.name] = module
                by_output.update(dict.fromkeys(node.output, module))
    known = 0
    for node in simplified.graph.node:
        candidates = [by_name.get(node.name), *(by_output.get(name) for name in (*node.output, *node.input))]
        module = next((candidate for candidate in candidates if candidate is not None), None)
        del node.metadata_props[:]
        if module is None:
            continue
        known += 1
        by_output.update(dict.fromkeys(node.output, module))
        entry = node.metadata_props.add()
        entry.key, entry.value = MODULE_KEY, module
    return known
