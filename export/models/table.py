"""The table of models that can be exported. It is data alone, read without torch.

A model is one entry: which family builds it, with what options, whose weights are published where and under which
licence, and what it costs. The figures are measured at the default size; a test counts them again.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from segrt.runtime.bundle.manifest import Technique
from segrt.runtime.errors import SegrtError


@dataclass(frozen=True)
class Checkpoint:
    """Published weights: `address` is a Hugging Face repository ("facebook/detr-resnet-50-panoptic") or a URL.

    `covers` says whether they are the whole network's or the encoder's alone.
    """

    address: str
    licence: str
    covers: str = "network"


@dataclass(frozen=True)
class Model:
    """One model: the family's module, its options, and what is known about it without building it.

    `size` is the default network size (h, w); `multiple` what both sides must be multiples of; `labels` the built-in
    class list of the published weights; `parameters` and `gmacs` (at `size`) are counted, `head_bytes` is what one
    frame's float32 heads take; `needs` lists packages beyond torch, torchvision and transformers.
    """

    name: str
    technique: Technique
    family: str
    size: tuple[int, int]
    labels: str
    options: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    code_licence: str = "Apache-2.0"
    multiple: int = 1
    parameters: int = 0
    gmacs: float = 0.0
    head_bytes: int = 0
    needs: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The module of its family, `segrt.export.models.detr` for instance."""
        return f"segrt.export.models.{self.family}"


_MODELS: dict[str, Model] = {}


def register(model: Model) -> None:
    """Add `model`; raise ValueError when its name is taken."""
    if model.name in _MODELS:
        raise ValueError(f"model {model.name!r} is registered twice")
    _MODELS[model.name] = model


def models() -> tuple[Model, ...]:
    """Return all models in the order of their registration."""
    return tuple(_MODELS.values())


def find_model(name: str) -> Model:
    """Return the model of that name; raise SegrtError with the nearest names when there is none."""
    if name in _MODELS:
        return _MODELS[name]
    near = difflib.get_close_matches(name, _MODELS, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else "`segrt models` lists them"
    raise SegrtError(f"there is no model {name!r}; {hint}")
