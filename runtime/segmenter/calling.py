"""A bundle opened on a backend: picture in, result out."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

import numpy.typing as npt

import segrt.runtime.segmenter.drawers  # noqa: F401 (enters what draws results)
from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.manifest import Manifest, Variant
from segrt.runtime.decode.decoders import find_decoder
from segrt.runtime.decode.decoding_place import Placement
from segrt.runtime.decode.rule import Context, DecodeRule
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.backend import Backend, Stopwatch
from segrt.runtime.inference.tensors import Device, Head, Slot
from segrt.runtime.preprocess.cuda.device_picture import DevicePicture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Label, Result, Timings
from segrt.runtime.results.viewing import with_picture
from segrt.runtime.segmenter.frame_steps import FrameSteps, NetworkSteps
from segrt.runtime.segmenter.given_pictures import AnyPicture, given_picture

if TYPE_CHECKING:
    from segrt.runtime.stream.frame import Frame
    from segrt.runtime.stream.sources.cpu_decoder import WantedDecoder
    from segrt.runtime.tracking import TrackerOptions

_Self = TypeVar("_Self", bound="Segmenter")


class Segmenter:
    """Calls a network on pictures; made by `open_bundle`, to be closed or used in a `with` statement.

    Several threads may call one segmenter: each call takes one of the backend's slots and waits while all are taken.
    Results are the caller's own and stay valid after `close`. A segmenter is neither copied nor pickled.
    `preprocess` and `postprocess` are the two steps around the backend, for pipelines that overlap them. `placement`
    says where heads are decoded, and why there; `steps` are what those two do, a network's own by default.
    """

    def __init__(
        self,
        bundle: Bundle,
        variant: Variant,
        backend: Backend,
        context: Context,
        placement: Placement | None = None,
        steps: FrameSteps | None = None,
    ) -> None:
        self.bundle = bundle
        self.variant = variant
        self.backend = backend
        self.placement = placement or Placement(backend.head_device, "the heads lie there")
        self._context = context
        self._steps = steps or NetworkSteps(bundle, backend, context, placement)

    @property
    def preprocess_device(self) -> Device:
        """Where pictures are brought to the inputs."""
        return self._steps.preprocess_device

    @property
    def manifest(self) -> Manifest:
        """What the bundle says about itself."""
        return self.bundle.manifest

    @property
    def technique(self) -> str:
        """`semantic`, `instance` or `panoptic`."""
        return self.bundle.manifest.technique

    @property
    def labels(self) -> tuple[Label, ...]:
        """The classes; a label's position is its class id."""
        return self.bundle.manifest.labels

    @property
    def threads(self) -> int:
        """The number of CPU threads that it was opened with; 0 stands for the default."""
        return self._context.threads

    @property
    def context(self) -> Context:
        """What decodes its heads: the rule in force, the labels, the threads."""
        return self._context

    @property
    def decode(self) -> DecodeRule:
        """The decode rule with the thresholds in force."""
        return self._context.decode

    @overload
    def __call__(self, image: AnyPicture, *, rgb: bool = False) -> Result: ...
    @overload
    def __call__(self, image: list[Any] | tuple[Any, ...], *, rgb: bool = False) -> Sequence[Result]: ...
    def __call__(
        self, image: AnyPicture | list[Any] | tuple[Any, ...], *, rgb: bool = False
    ) -> Result | Sequence[Result]:
        """Segment a picture; the result is at the picture's size, knows the picture and carries its timings.

        `image` is an array, uint8 BGR (H, W, 3) (`rgb`: RGB), BGRA or grey (H, W), a path, the bytes of a picture's
        file, a `PIL.Image`, or a list of these, which gives a list of results: in batches of what the bundle was opened
        with (`open_bundle(…, batch=8)`), their inference time being that of the batch. A network of 16-bit values or
        more channels takes such arrays: see `segrt.runtime.preprocess.channels`. Raises ImageError for all else,
        BackendError when the execution fails or the segmenter is closed.
        """
        if isinstance(image, (list, tuple)):
            return [result for batch in self._batches(image) for result in self._segment_batch(batch, rgb=rgb)]
        return self._segment(image, copy_heads=False, rgb=rgb)[0]

    def read(self, path: str | Path) -> Picture:
        """Return the picture at `path` as the network wants it; raise ImageError where it cannot be read or is none.

        With tiles, a TIFF that is too large to be held comes as `PictureWindows`, which have a `shape` and give arrays
        for [rows, columns]; `preprocess` takes them.
        """
        return self._steps.read(Path(path))

    def detailed(self, image: AnyPicture) -> tuple[Result, dict[str, npt.NDArray[Any]], Geometry]:
        """Return the result of `image`, copies of the raw heads (name → array with the batch axis) and the geometry."""
        self._steps.check_heads()
        return self._segment(image, copy_heads=True)

    def heads(self, image: AnyPicture) -> tuple[dict[str, npt.NDArray[Any]], Geometry]:
        """Return the raw heads for `image`, name → copy with the batch axis, and where the picture lies in it."""
        self._steps.check_heads()
        with self._executed(self._given(image)) as done:
            return _copies(done.heads), done.geometry

    def _given(self, image: AnyPicture, *, rgb: bool = False) -> Picture:
        return given_picture(image, self.manifest.inputs, rgb=rgb, read=self._steps.read)

    def _segment(
        self, given: AnyPicture, *, copy_heads: bool, rgb: bool = False
    ) -> tuple[Result, dict[str, npt.NDArray[Any]], Geometry]:
        image = self._given(given, rgb=rgb)
        with self._executed(image) as done:
            watch = Stopwatch()
            result = self.postprocess(done.heads, done.geometry)
            wall_ms = watch.ms()
            done.slot.settle()
            timings = Timings(done.preprocess_ms, done.slot.inference_ms, done.slot.decoding_ms(wall_ms))
            known = with_picture(with_timings(result, timings), image)
            return known, _copies(done.heads) if copy_heads else {}, done.geometry

    def _batches(self, images: Sequence[AnyPicture]) -> Iterator[Sequence[AnyPicture]]:
        """Yield the pictures in as many as a slot of the backend holds."""
        for first in range(0, len(images), self.backend.batch):
            yield images[first : first + self.backend.batch]

    def _segment_batch(self, given: Sequence[AnyPicture], *, rgb: bool) -> list[Result]:
        """Segment as many pictures as a slot holds, or fewer."""
        images = [self._given(image, rgb=rgb) for image in given]
        slot = self.backend.acquire()
        try:
            placed = []
            for index, image in enumerate(images):
                watch = Stopwatch()
                geometry = self.preprocess(image, slot, index)
                placed.append((geometry, watch.ms()))
            heads = self.backend.execute(slot)
            results: list[Result] = []
            for index, (image, (geometry, preprocess_ms)) in enumerate(zip(images, placed, strict=True)):
                watch = Stopwatch()
                result = self.postprocess(heads, geometry, index)
                wall_ms = watch.ms()
                if not results:  # the first decoding on a GPU has waited for the network
                    slot.settle()
                    wall_ms = slot.decoding_ms(wall_ms)
                timings = Timings(preprocess_ms, slot.inference_ms, wall_ms)
                results.append(with_picture(with_timings(result, timings), image))
            return results
        finally:
            self.backend.release(slot)

    @contextmanager
    def _executed(self, image: Picture) -> "Iterator[_Executed]":
        """Run the network on `image`; its slot is released when the block ends."""
        slot = self.backend.acquire()
        try:
            watch = Stopwatch()
            geometry = self.preprocess(image, slot)
            preprocess_ms = watch.ms()
            heads = self.backend.execute(slot)
            yield _Executed(heads, geometry, preprocess_ms, slot)
        finally:
            self.backend.release(slot)

    def preprocess(self, image: Picture | DevicePicture, slot: Slot, index: int = 0) -> Geometry:
        """Write `image`, uint8 BGR (H, W, 3), into place `index` of the slot's batch; return where it lies there.

        Where heads are decoded on the GPU it goes straight there, as far as the kernels do what the inputs want; the
        slot's views on the host then hold nothing of it.
        """
        return self._steps.fill(image, slot, index)

    def preprocess_on_cpu(self, image: Picture, slot: Slot, index: int = 0) -> Geometry:
        """Do as `preprocess` into the slot's views on the host, wherever heads are decoded."""
        return self._steps.fill_on_cpu(image, slot, index)

    def postprocess(
        self, heads: Mapping[str, Head], geometry: Geometry, index: int = 0, *, decode: DecodeRule | None = None
    ) -> Result:
        """Decode place `index` of the heads into a result at source size, without timings.

        `decode` takes the place of the rule in force, with other thresholds. Nothing of the result refers to the heads,
        so their slot can be released afterwards.
        """
        return self._steps.result(heads, geometry, index, decode)

    def decoded(self, heads: Mapping[str, npt.NDArray[Any]], geometry: Geometry, **thresholds: float) -> Result:
        """Decode what `heads` returned, with other thresholds than those in force."""
        self._steps.check_heads()
        decode = self._context.decode.replaced(**thresholds)
        arrays = {spec.role: heads[spec.name][0] for spec in self.manifest.heads}
        return find_decoder(decode, "cpu")(arrays, geometry, self._context.by(decode))

    def stream(
        self,
        source: str | Path | int,
        *,
        policy: str | None = None,
        track: "bool | TrackerOptions" = False,
        decode_video: "WantedDecoder" = "auto",
    ) -> "Iterator[tuple[Frame, Result]]":
        """Yield (frame, result) for a video, stream or camera (0 is /dev/video0); see `segrt.runtime.stream`.

        Each result knows its frame's picture: `result.plot()` draws on it. With `track` each thing has a `track_id`,
        which says what object it is, the same in each frame. `decode_video` is what decodes video, "cpu", "cuda" or
        "auto".
        """
        from segrt.runtime.stream import stream

        if isinstance(source, int):
            source = f"v4l2:///dev/video{source}"
        return stream(self, source, policy=policy, track=track, decode_video=decode_video)

    def close(self) -> None:
        """Free the network. Closing twice does nothing."""
        self.backend.close()

    def __repr__(self) -> str:
        name, precision = self.manifest.name, self.variant.precision
        return f"<{type(self).__name__} {name!r}, {precision} on {self.backend.name} {self.backend.device}>"

    def __reduce__(self) -> NoReturn:
        """Refuse copying and pickling: two would close one backend, and another process has none of it."""
        raise TypeError("a segmenter cannot be copied or pickled; open the bundle again where another is needed")

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class _Executed:
    """The heads of one picture, valid while its slot is held, and how long its way there took."""

    heads: Mapping[str, Head]
    geometry: Geometry
    preprocess_ms: float
    slot: Slot


def _copies(heads: Mapping[str, Head]) -> dict[str, npt.NDArray[Any]]:
    return {name: head.on_host() for name, head in heads.items()}


def with_timings(result: Result, timings: Timings) -> Result:
    """Give `result` its timings, which are known only after it was made, without validating its arrays again."""
    object.__setattr__(result, "timings", timings)
    return result
