"""A family of three convolutions in place of a real one, for the tests of exporting, tracing and parity."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxslim")
pytest.importorskip("transformers")

from segrt.export.convert.exporting import ExportOptions  # noqa: E402
from segrt.export.family import (  # noqa: E402
    Exportable,
    Model,
    Request,
    Weights,
)
from segrt.export.weights import network_weights, random_weights  # noqa: E402
from segrt.runtime.decode.argmax import Argmax  # noqa: E402
from segrt.runtime.preprocess.input_spec import Resize  # noqa: E402
from segrt.runtime.results import Label, SemanticResult  # noqa: E402

SIZE = (64, 96)


TINY = Model("tiny", "semantic", "tiny", SIZE, "voc", multiple=32, parameters=1000)


CLASSES = tuple(Label(f"class {index}", index, False, (index, 0, 0)) for index in range(5))


RESIZE = Resize(rule="letterbox", antialias=True, pad=(124, 116, 104))


STRETCH = Resize(antialias=True)


class Tiny(torch.nn.Module):
    """Three convolutions; blind to the padding where it is given a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, stride=2, padding=1), torch.nn.BatchNorm2d(8))
        self.body = torch.nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.head = torch.nn.Conv2d(8, 5, 1)

    def forward(self, pixels: Any, mask: Any = None) -> Any:
        """Return logits at a quarter of the size."""
        if mask is not None:
            pixels = pixels * mask[:, None]
        return self.head(torch.relu(self.body(torch.relu(self.stem(pixels)))))


def build(request: Request, **changes: Any) -> Exportable:
    """The family: every field as a real one would set it; `changes` spoil it."""
    with random_weights.seeded(request.weights.seed):
        network = Tiny().eval()
    found = network_weights.tensors(request)
    network_weights.load(network, found, network_weights.name_of(request))
    if found is None:
        pixels = random_weights.calibration_pixels(request.size)
        spreads = {network.head: random_weights.Spread(std=3.0)}
        random_weights.calibrate(network, lambda: network(pixels), spreads)

    def result(pixels: Any, mask: Any, geometry: Any) -> SemanticResult:
        logits = network(pixels, mask)
        top, left, bottom, right = (int(edge) for edge in geometry.window)
        inner = torch.nn.functional.interpolate(logits, request.size, mode="bilinear")[..., top:bottom, left:right]
        whole = torch.nn.functional.interpolate(inner, geometry.source_size, mode="bilinear")
        return SemanticResult(whole[0].argmax(0).numpy().astype(np.uint8), CLASSES)

    exportable = Exportable(
        core=network,
        heads=(("logits", "semantic_logits"),),
        labels=request.labels or CLASSES,
        decode=Argmax(),
        source=network_weights.source(request),
        resize=RESIZE,
        framework_result=result,
        limits=replace(Exportable.__dataclass_fields__["limits"].default, agreement=0.95),
    )
    return replace(exportable, **changes)


RANDOM = ExportOptions(Weights("random"), threads=1)


def tiny(**changes: Any) -> Exportable:
    return build(Request(TINY, SIZE, Weights("random")), **changes)
