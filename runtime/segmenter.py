"""A bundle opened on a backend: picture in, result out."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.manifest import Manifest, Variant
from segrt.runtime.bundle.members import member_manifest
from segrt.runtime.bundle.network_files import member_files, network_file, tensor_specs
from segrt.runtime.bundle.thresholds import with_thresholds
from segrt.runtime.decode.decoders import find_decoder
from segrt.runtime.decode.decoding_place import Placement, after_opening, before_opening
from segrt.runtime.decode.rule import Context, DecodeRule, MemberRule
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.backend import Backend, Stopwatch
from segrt.runtime.inference.backends import check_choice, open_backend, open_members
from segrt.runtime.inference.engine_policy import EnginePolicy
from segrt.runtime.inference.execution import WantedPlace
from segrt.runtime.inference.network_file import Opening
from segrt.runtime.inference.tensors import Device, Head, Slot, WantedDevice
from segrt.runtime.preprocess.channels import read_input
from segrt.runtime.preprocess.cuda.slot_pictures import SlotPictures, why_not_pictures
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.member_inputs import fill_members
from segrt.runtime.preprocess.picture import fill_inputs
from segrt.runtime.results import Label, Result, Timings

if TYPE_CHECKING:
    from segrt.runtime.stream.frame import Frame

log = logging.getLogger("segrt.decode")


class Segmenter:
    """Calls a network on pictures; made by `open_bundle`, to be closed or used in a `with` statement.

    `preprocess` and `postprocess` are the two steps around the backend, for pipelines that overlap them. `placement`
    says where heads are decoded, and why there; `preprocess_device` is where pictures are brought to the inputs.
    """

    def __init__(
        self,
        bundle: Bundle,
        variant: Variant,
        backend: Backend,
        context: Context,
        placement: Placement | None = None,
    ) -> None:
        self.bundle = bundle
        self.variant = variant
        self.backend = backend
        self.placement = placement or Placement(backend.head_device, "the heads lie there")
        self._context = context
        self._decoder = find_decoder(context.decode, backend.head_device)
        self._member_inputs = {
            member.name: member_manifest(bundle.manifest, member).inputs for member in bundle.manifest.members
        }
        self._inputs = self._member_inputs or {"": bundle.manifest.inputs}
        self._on_gpu: dict[int, SlotPictures] = {}
        reasons = [why_not_pictures(specs) for specs in self._inputs.values()]
        self.preprocess_device: Device = "cpu" if placement is None or all(reasons) else placement.device

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
    def decode(self) -> DecodeRule:
        """The decode rule with the thresholds in force."""
        return self._context.decode

    def __call__(self, image: Picture) -> Result:
        """Segment `image`, uint8 BGR (H, W, 3); the result is at the picture's size and carries its timings.

        A network of grey, 16-bit or more channels takes other arrays, too: see `segrt.runtime.preprocess.channels`, and
        `read`, which makes such arrays of files. Raises ImageError for another kind of array, BackendError when the
        execution fails.
        """
        return self._segment(image, copy_heads=False)[0]

    def read(self, path: str | Path) -> Picture:
        """Return the picture at `path` as the network wants it; raise ImageError where it cannot be read or is none."""
        return read_input(Path(path), self.manifest.inputs)

    def detailed(self, image: Picture) -> tuple[Result, dict[str, npt.NDArray[Any]], Geometry]:
        """Return the result of `image`, copies of the raw heads (name → array with the batch axis) and the geometry."""
        return self._segment(image, copy_heads=True)

    def heads(self, image: Picture) -> tuple[dict[str, npt.NDArray[Any]], Geometry]:
        """Return the raw heads for `image`, name → copy with the batch axis, and where the picture lies in it."""
        with self._executed(image) as done:
            return _copies(done.heads), done.geometry

    def _segment(self, image: Picture, *, copy_heads: bool) -> tuple[Result, dict[str, npt.NDArray[Any]], Geometry]:
        with self._executed(image) as done:
            watch = Stopwatch()
            result = self.postprocess(done.heads, done.geometry)
            wall_ms = watch.ms()
            done.slot.settle()
            timings = Timings(done.preprocess_ms, done.slot.inference_ms, done.slot.decoding_ms(wall_ms))
            return with_timings(result, timings), _copies(done.heads) if copy_heads else {}, done.geometry

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

    def preprocess(self, image: Picture, slot: Slot, index: int = 0) -> Geometry:
        """Write `image`, uint8 BGR (H, W, 3), into place `index` of the slot's batch; return where it lies there.

        Where heads are decoded on the GPU it goes straight there, as far as the kernels do what the inputs want; the
        slot's views on the host then hold nothing of it.
        """
        if self.preprocess_device == "cpu" or slot.gpu is None:
            return self.preprocess_on_cpu(image, slot, index)
        if slot.index not in self._on_gpu:
            self._on_gpu[slot.index] = SlotPictures(self._inputs, slot, threads=self._context.threads)
        return self._on_gpu[slot.index].fill(image, index)

    def preprocess_on_cpu(self, image: Picture, slot: Slot, index: int = 0) -> Geometry:
        """Do as `preprocess` into the slot's views on the host, wherever heads are decoded."""
        if self._member_inputs:
            return fill_members(image, self._member_inputs, slot.inputs, index, threads=self._context.threads)
        return fill_inputs(image, self.manifest.inputs, slot.inputs, index, threads=self._context.threads)

    def postprocess(self, heads: Mapping[str, Head], geometry: Geometry, index: int = 0) -> Result:
        """Decode place `index` of the heads into a result at source size, without timings.

        Nothing of the result refers to the heads, so their slot can be released afterwards.
        """
        given = {spec.role: heads[spec.name] for spec in self.manifest.heads}
        # Another's than the backend's own where somebody else made the heads.
        device = next(iter(given.values())).device
        decoder = self._decoder if device == self.backend.head_device else find_decoder(self.decode, device)
        return decoder({role: head.array[index] for role, head in given.items()}, geometry, self._context)

    def decoded(self, heads: Mapping[str, npt.NDArray[Any]], geometry: Geometry, **thresholds: float) -> Result:
        """Decode what `heads` returned, with other thresholds than those in force."""
        decode = self._context.decode.replaced(**thresholds)
        arrays = {spec.role: heads[spec.name][0] for spec in self.manifest.heads}
        return find_decoder(decode, "cpu")(arrays, geometry, replace(self._context, decode=decode))

    def stream(self, source: str | Path, *, policy: str | None = None) -> "Iterator[tuple[Frame, Result]]":
        """Yield (frame, result) for a video or stream; see `segrt.runtime.stream`."""
        from segrt.runtime.stream import stream

        return stream(self, source, policy=policy)

    def close(self) -> None:
        """Free the network. Closing twice does nothing."""
        self.backend.close()

    def __enter__(self) -> "Segmenter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_bundle(
    path_or_name: str | Path,
    *,
    backend: str = "auto",
    precision: str | None = None,
    threads: int = 0,
    score_threshold: float | None = None,
    overlap_threshold: float | None = None,
    batch: int | None = 1,
    sources: int = 1,
    engines: EnginePolicy | None = None,
    device: WantedDevice = "auto",
    decode_on: WantedPlace = "auto",
) -> Segmenter:
    """Open a bundle's folder, or an embedded bundle by name ("street-panoptic"), on a backend.

    `precision` picks a variant (the first one by default), `threads` the number of CPU threads (0: the default),
    the thresholds (0 to 1) replace those of the bundle's decode rule. `batch` is how many frames a slot holds; None
    means one of each of `sources` where the network takes so many, else 1. `engines` says where TensorRT's engines lie
    and whether they may be built. With `device` "cpu" no GPU is used, as for whatever others are compared with.
    `decode_on` is what decodes the heads, "cpu", "cuda", or with "auto" where they lie; it is no part of the bundle's
    decode rule. Raises BundleError or BackendError.
    """
    bundle = read_bundle(path_or_name)
    return open_segmenter(
        bundle,
        backend=backend,
        precision=precision,
        threads=threads,
        thresholds={"score_threshold": score_threshold, "overlap_threshold": overlap_threshold},
        batch=_batch_for(bundle, sources) if batch is None else batch,
        engines=engines,
        device=device,
        decode_on=decode_on,
    )


def open_segmenter(
    bundle: Bundle,
    *,
    backend: str = "auto",
    precision: str | None = None,
    threads: int = 0,
    thresholds: Mapping[str, float | None] | None = None,
    batch: int = 1,
    engines: EnginePolicy | None = None,
    device: WantedDevice = "auto",
    decode_on: WantedPlace = "auto",
) -> Segmenter:
    """Open `bundle`, whose manifest has been read; see `open_bundle`."""
    decode = with_thresholds(bundle, thresholds or {})
    variant = bundle.variant(precision)
    heads = tensor_specs(bundle.manifest, variant, batch)[1]
    roles = {spec.role: head for spec, head in zip(bundle.manifest.heads, heads, strict=True)}
    placement = before_opening(decode_on, decode, roles)
    opening = Opening(threads, engines=engines or EnginePolicy(), heads_on=placement.device, device=device)
    opened = _opened(bundle, variant, batch, backend, opening)
    if placement.device == "cuda":
        try:
            placement = after_opening(decode_on, decode, opened)
        except BaseException:
            opened.close()
            raise
        if placement.device == "cpu" and opened.head_device == "cuda":
            opened.close()
            opened = _opened(bundle, variant, batch, backend, replace(opening, heads_on="cpu"))
    log.info("%s: decoding on %s, %s", bundle.manifest.name, placement.device, placement.reason)
    members = tuple(
        MemberRule(member.name, member.decode, member.labels, member.classes) for member in bundle.manifest.members
    )
    return Segmenter(bundle, variant, opened, Context(decode, bundle.manifest.labels, threads, members), placement)


def _opened(bundle: Bundle, variant: Variant, batch: int, backend: str, opening: Opening) -> Backend:
    check_choice(backend, opening)
    if bundle.manifest.members:
        return open_members(member_files(bundle, variant, batch), backend=backend, opening=opening)
    return open_backend(network_file(bundle, variant, batch), backend=backend, opening=opening)


def _batch_for(bundle: Bundle, sources: int) -> int:
    return sources if all(spec.shape[0] == "N" for spec in bundle.manifest.inputs) else 1


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
