"""Writes a street network as an ONNX file."""

import tempfile
from pathlib import Path

import onnx
import torch
from torch import nn

from segrt.export.street.street_networks import SIZE, Deployed

OPSET = 18


def write_onnx(network: nn.Module, heads: tuple[str, ...], path: Path) -> None:
    """Export `network` as it is deployed: `image` uint8 (1, H, W, 3) RGB in, `heads` out."""
    example = torch.zeros(1, *SIZE, 3, dtype=torch.uint8)
    program = torch.onnx.export(
        Deployed(network).eval(),
        (example,),
        dynamo=True,
        opset_version=OPSET,
        input_names=["image"],
        output_names=list(heads),
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "model.onnx"
        program.save(raw)
        model = onnx.load(raw)
    # The exporter notes for every node where in the source it came from: a tenth of the file, and paths of one machine.
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
