"""The contract of a model family: its catalogue entries, what it is asked to build, what it returns.

A family is one package of `segrt.export.models`: its `__init__.py` holds the entries (`MODELS`, data alone), its
`build.py` the function `build(request: Request) -> Exportable`. Everything that is alike for all families (bytes in,
normalisation, tracing, checks, parity, variants, golden frames, the bundle) is done by the exporter around it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from segrt.runtime.bundle.manifest import Source
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.files.images import Picture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import Channels, Resize
from segrt.runtime.preprocess.prompts import Prompt
from segrt.runtime.results import Label, Result
from segrt.runtime.results.technique import Technique

if TYPE_CHECKING:
    import torch

ATTENTION_SCORES = "attention-scores"
"""A pattern of nodes to keep in float32 that stands for every attention's products of queries and keys, up to the
softmax."""
Size = tuple[int, int]
IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)
PadSide = Literal["both", "bottom_right"]


@dataclass(frozen=True)
class Checkpoint:
    """Published weights: `address` is a Hugging Face repository ("facebook/detr-resnet-50-panoptic") or a URL.

    `covers` says whether they are the whole network's or the encoder's alone; `by_hand` that only a browser fetches
    them, from a page that asks.
    """

    address: str
    licence: str
    covers: str = "network"
    by_hand: bool = False


@dataclass(frozen=True)
class Model:
    """One entry of the catalogue: a family, the options of one of its models, and what is known without building it.

    `size` is the default network size (h, w); `multiple` what both sides must be multiples of; `labels` the built-in
    class list of the published weights; `parameters` and `gmacs` (at `size`) are counted, `head_bytes` is what one
    frame's float32 heads take; `needs` lists packages beyond torch, torchvision and transformers. `builder` is the
    module with the family's function `build`; the catalogue names that of segrt's own families. `folder` is where
    configuration and weights lie that a library's save_pretrained wrote, for a network that was named by it. `prompts`
    says that it segments what boxes and points say, with an encoder and a decoder.
    """

    name: str
    technique: Technique
    family: str
    size: Size
    labels: str
    options: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    code_licence: str = "Apache-2.0"
    multiple: int = 1
    parameters: int = 0
    gmacs: float = 0.0
    head_bytes: int = 0
    needs: tuple[str, ...] = ()
    builder: str = ""
    folder: Path | None = None
    prompts: bool = False


@dataclass(frozen=True)
class Weights:
    """Which weights a network gets: published ones, a file's, or random ones from a seed."""

    kind: Literal["pretrained", "random", "file"]
    path: Path | None = None
    seed: int = 0


@dataclass(frozen=True)
class Request:
    """What the user asks of a family.

    `size` is the network's picture size (h, w); `labels` replaces the checkpoint's own classes where given;
    `top_queries` keeps only that many queries, chosen inside the graph, where the family allows it; `overrides`
    changes fields of the network's configuration (a shallower network for a test, for instance). `shortest_edge` is
    given where `size` is a square that holds pictures on their side and upright, whose shorter side has so many pixels.
    """

    model: Model
    size: Size
    weights: Weights
    labels: tuple[Label, ...] | None = None
    top_queries: int | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    shortest_edge: int | None = None

    @property
    def edges(self) -> tuple[int, int]:
        """The shortest and the longest edge that a picture may have in the network's input."""
        return self.shortest_edge or min(self.size), max(self.size)

    def kept_shape(self, **options: Any) -> Resize:
        """Return the resize rule of networks that keep a picture's shape; `options` are further fields of it."""
        if self.shortest_edge is None:
            return Resize(rule="letterbox", **options)
        return Resize(rule="shortest_edge", shortest_edge=self.shortest_edge, **options)


@dataclass(frozen=True)
class HeadParityLimit:
    """The largest difference of a head between ONNX Runtime and torch, |a - b| <= absolute + relative * |b|."""

    absolute: float
    relative: float = 0.0


@dataclass(frozen=True)
class ParityLimits:
    """The family's stated tolerance; an export outside it fails.

    `head` holds for every value of every head (box-like families may exempt heads by name in `heads`, None);
    `agreement` is the least agreement of the final result with the framework's own (see
    `segrt.runtime.authoring.agreement`); `input_mean` and `input_max` limit the difference between segrt's network
    input and that of the framework's own image processor, in grey levels (0 to 255).

    `at` is the size (h, w) that the framework brings masks to before it brings them to the picture's, where it does so:
    results are compared on pictures of that size, for there it resizes masks once, as segrt always does. Golden
    results are then what the decode rule makes of the framework's heads.
    """

    head: HeadParityLimit = HeadParityLimit(1e-3, 1e-3)
    heads: Mapping[str, HeadParityLimit | None] = field(default_factory=dict)
    agreement: float = 0.999
    input_mean: float = 0.5
    input_max: float = 2.0
    at: Size | None = None


@dataclass(frozen=True)
class CarriedState:
    """An input, float32 of `shape` (1, …): in a stream what `head` gave at the frame before, else zeros."""

    input: str
    head: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class PromptDecoder:
    """The second network of those that take prompts: from what the first made of a picture to the masks of a prompt.

    core: in eval mode, float32; `core(*embeddings, points, labels)` returns the tuple of heads in the order of `heads`.
        The embeddings are the first network's heads, in their order; `points` is float32 (1, K, 2) in pixels of the
        network's picture, `labels` int32 (1, K), as `segrt.runtime.preprocess.prompts` writes them.
    tokens: K.
    framework_masks: the source framework's own way on normalised pixels, a prompt, checked, and where the picture lies:
        its unmodified model and its own pre- and post-processing, as a result at source size with one object.
    """

    core: "torch.nn.Module"
    heads: tuple[tuple[str, str], ...]
    tokens: int
    framework_masks: "Callable[[torch.Tensor, Prompt, Geometry], Result]"


@dataclass(frozen=True)
class Exportable:
    """A network that is ready to be exported.

    core: in eval mode, float32; `core(pixels)` or `core(pixels, valid_mask)` returns the tuple of heads in the order of
        `heads`, batch first. `pixels` is float32 (N, 3, h, w), normalised: (x / 255 - mean) / std, in the order of
        `color`; `valid_mask` is bool (N, h, w), true on the picture, false on the padding. With a `state` it is
        `core(pixels, state)`, and one of the heads, of role `state`, is its next value.
    heads: (name, role) of each output; the roles are those of the decode rule.
    framework_result: the source framework's complete own way on the same network input: its unmodified model and its
        own post-processing, as a result at source size. It is given the normalised pixels, the valid mask (None where
        `valid_mask` is false) and where the picture lies in them.
    framework_pixels: the network input that the framework's own image processor makes of a picture (uint8 BGR
        (H, W, 3)) for the same network size: float32 (3, h, w), normalised, padding included. None where the
        framework has no image processor.
    keep: nodes or modules that stay in float32 in every variant, as patterns ("*nms*", "decoder.boxes"): arithmetic on
        pixels and indices, for instance. Box heads' own arithmetic stays in it without being named. `ATTENTION_SCORES`
        stands for the scores of all attention.
    pad_sides: where padding may be; the framework's own pixels have the picture at the top left.
    dynamic_batch: whether the network may be exported for any number of pictures.
    opset: the least opset that it needs.
    shared: modules that `core` and the framework's own way both run on the same input, without GroupNorm inside and
        without changing in place what they give: while both are compared on a picture they are computed once.
    prompt_decoder: the network behind it, of those that take prompts; its `framework_result` is then that of the trial
        prompt.
    """

    core: "torch.nn.Module"
    heads: tuple[tuple[str, str], ...]
    labels: tuple[Label, ...]
    decode: DecodeRule
    source: Source
    resize: Resize
    framework_result: "Callable[[torch.Tensor, torch.Tensor | None, Geometry], Result]"
    framework_pixels: Callable[[Picture], npt.NDArray[np.float32]] | None = None
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    color: Literal["rgb", "bgr"] = "rgb"
    valid_mask: bool = False
    state: CarriedState | None = None
    keep: tuple[str, ...] = ()
    pad_sides: tuple[PadSide, ...] = ("bottom_right", "both")
    dynamic_batch: bool = True
    opset: int = 18
    limits: ParityLimits = ParityLimits()
    shared: "tuple[torch.nn.Module, ...]" = ()
    prompt_decoder: PromptDecoder | None = None
