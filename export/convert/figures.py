"""Counts what the entries of the catalogue say: parameters, multiply-adds and head bytes, without computing anything.

    python -m segrt.export.convert.figures MODEL...

The network is built on torch's meta device, where tensors have shapes and no values.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from segrt.export.convert.exporting import build
from segrt.export.family import Exportable, Model, Request, Weights
from segrt.export.models.catalogue import find_model
from segrt.export.quiet import quiet


@dataclass(frozen=True)
class Figures:
    """`gmacs` are 10^9 multiply-adds of convolutions and matrix products; `head_bytes` those of float32 heads."""

    parameters: int
    gmacs: float
    head_bytes: int


def on_meta(model: Model) -> Exportable:
    """Return the model's network at its default size, random weights, on the meta device."""
    with torch.device("meta"):
        return build(Request(model, model.size, Weights("random")))


def count_parameters(exportable: Exportable) -> int:
    """Return the number of parameters that are exported."""
    return sum(parameter.numel() for parameter in exportable.core.parameters())


def measure(model: Model) -> Figures:
    """Return the figures of `model` for one picture at its default size, and one prompt where it takes some."""
    exportable = on_meta(model)
    exportable.core.requires_grad_(False)  # a parameter that is some module's input would confuse the counter
    with torch.device("meta"), torch.inference_mode(), quiet(), FlopCounterMode(display=False) as counter:
        pixels = torch.empty((1, 3, *model.size))
        masks = (torch.ones((1, *model.size), dtype=torch.bool),) if exportable.valid_mask else ()
        heads = exportable.core(pixels, *masks)
        if exportable.prompt_decoder is not None:  # one prompt
            tokens = exportable.prompt_decoder.tokens
            labels = torch.zeros((1, tokens), dtype=torch.int32)
            heads = exportable.prompt_decoder.core(*heads, torch.zeros((1, tokens, 2)), labels)
    heads = heads if isinstance(heads, tuple | list) else (heads,)
    size = sum(head.numel() * head.element_size() for head in heads)
    return Figures(count_parameters(exportable), round(counter.get_total_flops() / 2e9, 2), size)


def main(names: Sequence[str]) -> None:
    """Print the figures of the models as they stand in an entry."""
    for name in names:
        figures = measure(find_model(name))
        print(
            f"{name}: parameters={figures.parameters:_}, gmacs={figures.gmacs:.2f}, head_bytes={figures.head_bytes:_},"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
