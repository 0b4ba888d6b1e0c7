"""Segmenting what prompts point at: the encoder sees a picture once, the decoder answers every prompt."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np
import numpy.typing as npt

from segrt.runtime.decode.prompted_masks import prompted_masks
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.backend import Stopwatch
from segrt.runtime.inference.chained_backend import ChainedBackend, arrays_of
from segrt.runtime.inference.tensors import Array, Head, Slot
from segrt.runtime.preprocess.cuda.device_picture import DevicePicture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.prompts import Prompt, most_tokens
from segrt.runtime.results import InstanceResult, PanopticResult, Timings, rle
from segrt.runtime.results.labels.one_object import LABELS
from segrt.runtime.results.viewing import with_picture
from segrt.runtime.segmenter.calling import with_timings
from segrt.runtime.segmenter.given_pictures import AnyPicture
from segrt.runtime.segmenter.given_prompts import GivenPrompts, given_prompts
from segrt.runtime.segmenter.prompt_steps import fill_picture, place_prompt
from segrt.runtime.segmenter.typed_segmenters import InstanceSegmenter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segrt.runtime.stream.frame import Frame


class PromptSegmenter(InstanceSegmenter):
    """Segments what boxes and points say, one object for each prompt; made by `open_bundle` for a bundle that does so.

    with open_bundle("edgetam") as segmenter:
        result = segmenter("photo.jpg", boxes=[(10, 20, 200, 300)])  # one call
        seen = segmenter.embedded("photo.jpg")                       # or: the encoder once,
        first = seen.prompt(points=[(50, 60)])                       # the decoder for every prompt
        second = seen.prompt(boxes=detector("photo.jpg"))
    """

    def __call__(  # type: ignore[override]
        self,
        image: AnyPicture,
        *,
        rgb: bool = False,
        prompts: Sequence[Prompt] | Prompt | None = None,
        boxes: "InstanceResult | PanopticResult | npt.ArrayLike | None" = None,
        points: Sequence[Any] | npt.NDArray[Any] | None = None,
        point_labels: Sequence[Any] | npt.NDArray[Any] | None = None,
    ) -> InstanceResult:
        """Segment the objects of a picture that prompts point at; see `EmbeddedPicture.prompt` for what they may be.

        `image` is one picture, as for other segmenters. Raises SegrtError for a call without prompts.
        """
        if isinstance(image, list | tuple):
            raise SegrtError("image: prompts belong to one picture, but got a list; call it for each picture")
        if prompts is None and boxes is None and points is None:
            raise self._unprompted()
        picture = self._given(image, rgb=rgb)
        size = (picture.shape[0], picture.shape[1])
        given = given_prompts(
            size, self.tokens, prompts=prompts, boxes=boxes, points=points, point_labels=point_labels
        )  # wrong ones are refused before the encoder has worked
        return self.segmented(picture, given)

    def segmented(self, picture: Picture, given: GivenPrompts) -> InstanceResult:
        """Run both networks for prompts that have been checked; the result's timings are of both.

        Neither runs where there is nothing to ask.
        """
        size = (picture.shape[0], picture.shape[1])
        if not given.asked:
            return _result([], given, size, picture, Timings(0.0, 0.0, 0.0))
        slot = self.backend.acquire()
        try:
            geometry, heads, preprocess_ms = self._encoded(picture, slot)
            self._chained.hand_on(slot, arrays_of(heads))
            found, decoding_ms = self._decoded(given.asked, geometry, slot)
            timings = Timings(preprocess_ms, slot.inference_ms, decoding_ms)
        finally:
            self.backend.release(slot)
        return _result(found, given, size, picture, timings)

    def embedded(self, image: AnyPicture, *, rgb: bool = False) -> "EmbeddedPicture":
        """Run the encoder on a picture; what is returned answers any number of prompts with the decoder alone."""
        if isinstance(image, list | tuple):
            raise SegrtError("image: is one picture at a time, but got a list; call embedded for each picture")
        picture = self._given(image, rgb=rgb)
        slot = self.backend.acquire()
        try:
            geometry, heads, preprocess_ms = self._encoded(picture, slot)
            kept = {name: head.on_host() for name, head in heads.items()}
            timings = Timings(preprocess_ms, slot.inference_ms, 0.0)
        finally:
            self.backend.release(slot)
        return EmbeddedPicture(self, picture, geometry, kept, timings)

    def answered(self, seen: "EmbeddedPicture", given: GivenPrompts) -> InstanceResult:
        """Run the decoder for each of `given`, which has been checked; see `EmbeddedPicture.prompt`."""
        size = seen.geometry.source_size
        if not given.asked:
            return _result([], given, size, seen.picture, Timings(0.0, 0.0, 0.0))
        slot = self.backend.acquire()
        try:
            self._chained.hand_on(slot, seen.embedding)
            found, decoding_ms = self._decoded(given.asked, seen.geometry, slot)
            timings = Timings(0.0, slot.inference_ms, decoding_ms)
        finally:
            self.backend.release(slot)
        return _result(found, given, size, seen.picture, timings)

    def _encoded(self, picture: Picture, slot: Slot) -> tuple[Geometry, Mapping[str, Head], float]:
        """Run the encoder; return where the picture lies, the heads, and how long bringing it there took, in ms."""
        watch = Stopwatch()
        geometry = fill_picture(picture, self.manifest, slot, threads=self.threads)
        preprocess_ms = watch.ms()
        return geometry, self._chained.encode(slot), preprocess_ms

    def _decoded(self, prompts: Sequence[Prompt], geometry: Geometry, slot: Slot) -> tuple[list[InstanceResult], float]:
        """Run the decoder for each prompt on what was handed on; return an object each, and the ms of their masks."""
        specs = [spec for spec in self.manifest.heads if spec.role in self.decode.roles]
        found, decoding_ms = [], 0.0
        for prompt in prompts:
            placed = place_prompt(prompt, geometry, self.manifest, slot)
            heads = self._chained.decode(slot)
            watch = Stopwatch()
            by_role = {spec.role: heads[spec.name].array[0] for spec in specs}
            found.append(prompted_masks(by_role, placed, self.context))
            decoding_ms += watch.ms()
        return found, decoding_ms

    @property
    def tokens(self) -> int:
        """How many tokens the decoder takes: points, two for a box, and one at the end."""
        return most_tokens(self.manifest.inputs)

    @property
    def _chained(self) -> ChainedBackend:
        return cast("ChainedBackend", self.backend)

    def preprocess(self, image: Picture | DevicePicture, slot: Slot, index: int = 0) -> NoReturn:  # noqa: ARG002
        """Refuse: without a prompt there is nothing to segment."""
        raise self._unprompted()

    def preprocess_on_cpu(self, image: Picture, slot: Slot, index: int = 0) -> NoReturn:  # noqa: ARG002
        """Refuse: without a prompt there is nothing to segment."""
        raise self._unprompted()

    def postprocess(
        self,
        heads: Mapping[str, Head],  # noqa: ARG002
        geometry: Geometry,  # noqa: ARG002
        index: int = 0,  # noqa: ARG002
        *,
        decode: DecodeRule | None = None,  # noqa: ARG002
    ) -> NoReturn:
        """Refuse: heads are one prompt's."""
        raise self._unprompted()

    def decoded(self, heads: Mapping[str, Array], geometry: Geometry, **thresholds: float) -> NoReturn:  # noqa: ARG002
        """Refuse: heads are one prompt's."""
        raise self._unprompted()

    def stream(self, source: str | Path | int, **options: Any) -> "Iterator[tuple[Frame, InstanceResult]]":  # noqa: ARG002
        """Refuse: prompts are given for pictures."""
        raise self._unprompted()

    def _unprompted(self) -> SegrtError:
        return SegrtError(
            f"{self.manifest.name}: segments what prompts point at, but got none; call it with boxes=, points= or "
            "prompts= for a picture"
        )


def _result(
    found: list[InstanceResult], given: GivenPrompts, size: tuple[int, int], picture: Picture, timings: Timings
) -> InstanceResult:
    """Return one object for each of `given`: those that were found, in their order, and empty masks between them."""
    answers = iter(found)
    objects = [_nothing(size) if prompt is None else next(answers) for prompt in given.prompts]
    result = InstanceResult(
        boxes=np.concatenate([np.zeros((0, 4), np.float32), *(one.boxes for one in objects)]),
        scores=np.concatenate([np.zeros(0, np.float32), *(one.scores for one in objects)]),
        class_ids=given.class_ids,
        rles=[code for one in objects for code in one.rles],
        size=size,
        labels=given.labels,
        nonfinite_heads=max((one.nonfinite_heads for one in objects), default=0),
        track_ids=given.track_ids,
    )
    return cast("InstanceResult", with_picture(with_timings(result, timings), picture))


def _nothing(size: tuple[int, int]) -> InstanceResult:
    """Return an object without a pixel in a picture of `size` (H, W), which nobody has looked for."""
    return InstanceResult(
        boxes=np.zeros((1, 4), np.float32),
        scores=np.zeros(1, np.float32),
        class_ids=np.zeros(1, np.int64),
        rles=[rle.encode(np.zeros(size, np.uint8))],
        size=size,
        labels=LABELS,
    )


class EmbeddedPicture:
    """A picture as the encoder has seen it; made by `PromptSegmenter.embedded`, answers prompts while that is open.

    `embedding` maps the encoder's heads to arrays, which are its own; `timings` are those of encoding.
    """

    def __init__(
        self,
        segmenter: PromptSegmenter,
        picture: Picture,
        geometry: Geometry,
        embedding: Mapping[str, Array],
        timings: Timings,
    ) -> None:
        self._segmenter = segmenter
        self.picture = picture
        self.geometry = geometry
        self.embedding = embedding
        self.timings = timings

    def prompt(
        self,
        *,
        prompts: Sequence[Prompt] | Prompt | None = None,
        boxes: "InstanceResult | PanopticResult | npt.ArrayLike | None" = None,
        points: Sequence[Any] | npt.NDArray[Any] | None = None,
        point_labels: Sequence[Any] | npt.NDArray[Any] | None = None,
    ) -> InstanceResult:
        """Return one object for each prompt, in their order, also where a mask is empty.

        Coordinates are pixels of the picture, 0 at its left and top edge. `boxes` are (N, 4), left, top, right, bottom,
        inside the picture, or an `InstanceResult` or `PanopticResult` of it, whose objects' (things') classes and
        tracks the objects then have; such boxes are cut off at the picture's edges, and where nothing is left, the mask
        is empty and its score 0. `points` are
        (N, 2), x and y of a point on each object, or for each object a list of points; `point_labels`, nested as the
        points are, say whether a point is on the object, 1 (the default), or background, 0. With both, the points of an
        object narrow down its box. `prompts` are `Prompt`s, which may differ in kind.

        The result's scores are the IoUs that the network predicts for its masks, its boxes the masks' extents, zeros
        for an empty one. Raises SegrtError for a prompt outside the picture or without an object.
        """
        given = given_prompts(
            self.geometry.source_size,
            self._segmenter.tokens,
            prompts=prompts,
            boxes=boxes,
            points=points,
            point_labels=point_labels,
        )
        return self._segmenter.answered(self, given)
