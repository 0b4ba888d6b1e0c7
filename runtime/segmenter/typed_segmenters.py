"""Segmenters of one technique: their results' type is known to whoever checks types."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import numpy.typing as npt

from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.inference.tensors import Head
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import InstanceResult, PanopticResult, Result, SemanticResult
from segrt.runtime.results.technique import Technique
from segrt.runtime.segmenter.calling import Segmenter
from segrt.runtime.segmenter.given_pictures import AnyPicture

if TYPE_CHECKING:
    from segrt.runtime.stream.frame import Frame
    from segrt.runtime.stream.sources.cpu_decoder import WantedDecoder
    from segrt.runtime.tracking import TrackerOptions

_R = TypeVar("_R", bound=Result)


class _SegmenterOf(Segmenter, Generic[_R]):
    """A segmenter whose results are all of one type. It does what any segmenter does: only types are stated here."""

    if TYPE_CHECKING:

        @overload
        def __call__(self, image: AnyPicture, *, rgb: bool = False) -> _R: ...
        @overload
        def __call__(self, image: list[Any] | tuple[Any, ...], *, rgb: bool = False) -> list[_R]: ...
        def __call__(self, image: Any, *, rgb: bool = False) -> _R | list[_R]: ...

        def detailed(self, image: AnyPicture) -> tuple[_R, dict[str, npt.NDArray[Any]], Geometry]: ...

        def postprocess(
            self, heads: Mapping[str, Head], geometry: Geometry, index: int = 0, *, decode: DecodeRule | None = None
        ) -> _R: ...

        def decoded(self, heads: Mapping[str, npt.NDArray[Any]], geometry: Geometry, **thresholds: float) -> _R: ...

        def stream(
            self,
            source: str | Path | int,
            *,
            policy: str | None = None,
            track: bool | TrackerOptions = False,
            decode_video: WantedDecoder = "auto",
        ) -> Iterator[tuple[Frame, _R]]: ...


class SemanticSegmenter(_SegmenterOf[SemanticResult]):
    """A segmenter that gives a class for every pixel."""


class InstanceSegmenter(_SegmenterOf[InstanceResult]):
    """A segmenter that gives objects with masks, classes and scores."""


class PanopticSegmenter(_SegmenterOf[PanopticResult]):
    """A segmenter that gives one class and one instance id for every pixel."""


SEGMENTERS: dict[Technique, type[Segmenter]] = {
    "semantic": SemanticSegmenter,
    "instance": InstanceSegmenter,
    "panoptic": PanopticSegmenter,
}
