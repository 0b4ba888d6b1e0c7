"""All that is known of a file's conventions, asked one after the other: the first that knows the file speaks."""

from collections.abc import Callable
from dataclasses import replace

from segrt.export.adopt.conventions.arithmetic_on_input import arithmetic_on_input
from segrt.export.adopt.conventions.convention import Convention, Problem
from segrt.export.graph.editing import Graph
from segrt.runtime.registry import Registry

_ROOM = "segrt.export.adopt.conventions"
# What a file says of itself comes first, files beside it next, then names of outputs, what the graph begins with, and
# who wrote it.
EXPORTERS: Registry[Callable[[Graph], Convention | None]] = Registry(
    "exporter",
    {
        "ultralytics": f"{_ROOM}.ultralytics_metadata:ultralytics_metadata",
        "mmdeploy": f"{_ROOM}.mmdeploy_json:mmdeploy_json",
        "paddleseg": f"{_ROOM}.paddleseg_yaml:paddleseg",
        "hugging face": f"{_ROOM}.hugging_face:hugging_face",
        "timm": f"{_ROOM}.timm_config:timm_config",
        "mmdeploy's outputs": f"{_ROOM}.mmdeploy_json:mmdeploy_outputs",
        "rf-detr's outputs": f"{_ROOM}.rfdetr_outputs:rfdetr_outputs",
        "arithmetic on the input": f"{_ROOM}.arithmetic_on_input:arithmetic_on_input",
        "tf2onnx": f"{_ROOM}.tf2onnx_producer:tf2onnx_producer",
    },
)


def read_convention(graph: Graph) -> Convention:
    """Return what is known of the file; raise SegrtError for a network that it says to have no masks."""
    own = arithmetic_on_input(graph)
    for name in EXPORTERS:
        convention = EXPORTERS.load(name)(graph)
        if convention is None or convention.exporter is None:  # it has questions alone
            continue
        return _agreeing(convention, own) if convention.is_read else _guessed_beside(convention, own)
    return own or Convention()


def _guessed_beside(convention: Convention, own: Convention | None) -> Convention:
    """Return a convention that is only usual with the exporter, with what the graph's first steps say for certain."""
    if own is None:
        return convention
    return replace(
        convention,
        normalisation=own.normalisation or convention.normalisation,
        color=own.color or convention.color,
        problems=(*convention.problems, *own.problems),
        notes=(*convention.notes, *own.notes),
    )


def _agreeing(convention: Convention, own: Convention | None) -> Convention:
    """Return the convention with a problem where files say otherwise than the graph's first steps what it is fed."""
    if own is None or own.normalisation is None or convention.normalisation in (None, own.normalisation):
        return convention
    text = f"{convention.exporter}'s files normalise the picture, but the network begins by normalising it, too"
    return replace(convention, problems=(*convention.problems, Problem("values", text)))
