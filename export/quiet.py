"""Silences the warnings and progress logs of the packages that the exporter calls; their errors pass."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = (
    "transformers",
    "huggingface_hub",
    "torch.onnx",
    "torch.export",
    "torch.fx",
    "onnxscript",
    "onnx_ir",
    "timm",
)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the warnings and logs of torch, transformers, the hub's client and the ONNX tools inside the block.

    What they say is about their own future ("will be deprecated") or is checked by segrt itself (weights that do not
    fit). Errors pass.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
