"""Peers that are packages of their own: their code is called as it is where they are installed.

None of them is an extra of segrt's, for each brings its own pins. Into an environment of their own, which the
benchmark's Python then finds by PYTHONPATH:

    pip install --no-deps --target PEERS ultralytics supervision rfdetr pyDeprecate defusedxml
    PYTHONPATH=PEERS python benchmarks/postproc.py
"""

import os
import tempfile
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from postproc_case import Peer, Size

left_out: dict[str, str] = {}
"""Name of a peer's package → why it was not measured."""


@cache
def package(name: str, module: str) -> ModuleType | None:
    """Import `module` of the package `name`; None, and a line in `left_out`, where that is not possible."""
    os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.gettempdir())  # ultralytics writes settings when it is imported
    try:
        return import_module(module)
    except Exception as error:  # a package whose own dependencies do not fit raises what it likes
        left_out[name] = f"{type(error).__name__}: {error}".splitlines()[0]
        return None


def prototype_peers(
    torch: Any, prototypes: Any, coefficients: Any, boxes: Any, size: Size, encode: Callable[[NDArray[Any]], Any]
) -> list[Peer]:
    """Return ultralytics' own `process_mask`, its masks as codes by pycocotools, and by supervision."""
    ultralytics = package("ultralytics", "ultralytics.utils.ops")
    supervision = package("supervision", "supervision.detection.utils.converters")
    if ultralytics is None:
        return []

    def masks() -> NDArray[Any]:
        with torch.no_grad():
            made = ultralytics.process_mask(prototypes, coefficients, boxes, size, upsample=True)
        return np.asarray(made.numpy())

    peers = [Peer("ultralytics + pycocotools", lambda: encode(masks()))]
    if supervision is not None:
        to_code = supervision.mask_to_rle
        peers.append(
            Peer("ultralytics + supervision", lambda: [to_code(mask.astype(bool), compressed=True) for mask in masks()])
        )
    return peers


def query_peers(torch: Any, classes: Any, masks: Any, size: Size, encode: Callable[[NDArray[Any]], Any]) -> list[Peer]:
    """Return RF-DETR's own post-processing, and torchvision's resize of masks, which takes the nearest value."""
    peers = [_torchvision_masks(torch, classes, masks, size, encode)]
    rfdetr = package("rfdetr", "rfdetr.models.postprocess")
    if rfdetr is not None:
        process = rfdetr.PostProcess(num_select=100)
        heads = {"pred_logits": classes[None], "pred_masks": masks[None], "pred_boxes": torch.rand(1, len(masks), 4)}
        sizes = torch.tensor([size])

        def own() -> Any:
            return encode(process(heads, sizes)[0]["masks"].numpy().reshape(-1, *size))

        peers.append(Peer("RF-DETR + pycocotools", own))
    return peers


def _torchvision_masks(torch: Any, classes: Any, masks: Any, size: Size, encode: Callable[[NDArray[Any]], Any]) -> Peer:
    from torchvision import tv_tensors
    from torchvision.transforms.v2 import functional

    def nearest() -> Any:
        with torch.no_grad():
            best = classes.softmax(-1)[:, :-1].flatten().topk(100).indices // (classes.shape[1] - 1)
            return encode(functional.resize(tv_tensors.Mask(masks[best] > 0), list(size)).numpy())

    return Peer("torchvision v2 masks (nearest) + pycocotools", nearest)
