"""A bundle as a server runs it: pictures of several requests in, a result or an error for each out."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy.typing as npt

from segrt.runtime.bundle.bundle import MANIFEST, Bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.errors import BackendError, BundleError, SegrtError
from segrt.runtime.inference.tensors import Slot, WantedDevice
from segrt.runtime.preprocess.channels import Raster
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.remote.description import Description, own_version, same_release
from segrt.runtime.remote.result_tensors import PROTOCOL, to_tensors
from segrt.runtime.remote.rule_parameters import BUNDLE as EXPECTED
from segrt.runtime.remote.rule_parameters import to_changes
from segrt.runtime.scale.triton.serving_options import BUNDLE, SERVING, Serving, batch_sizes
from segrt.runtime.segmenter import Segmenter, open_segmenter
from segrt.runtime.segmenter.given_pictures import given_picture

_MAX_SERVING = 1 << 16


@dataclass(frozen=True, eq=False)
class Request:
    """What one request asks: a picture as an array (H, W, C) or as the bytes of a file, and its parameters."""

    picture: "npt.NDArray[Any] | bytes"
    parameters: Mapping[str, Any] = field(default_factory=dict)


Answer = Mapping[str, npt.NDArray[Any]] | SegrtError


@dataclass(eq=False)
class _Picture:
    """A picture on its way through the network: whose it is, and by what rule its heads are decoded."""

    index: int
    image: Raster
    decode: DecodeRule | None
    geometry: Geometry | None = None


class ServedModel:
    """The bundle of a version's folder, opened for each of its batches; `device` is "cpu" or "auto"."""

    def __init__(self, folder: Path, device: WantedDevice = "cpu") -> None:
        serving = _read_serving(folder / SERVING)
        self._bundle: Bundle = read_bundle(folder / BUNDLE)
        self._digest = hashlib.sha256((folder / BUNDLE / MANIFEST).read_bytes()).hexdigest()
        self._precision = serving.precision
        self._segmenters: dict[int, Segmenter] = {}
        with ExitStack() as stack:
            for size in batch_sizes(serving.batch):
                segmenter = open_segmenter(
                    self._bundle,
                    backend=serving.backend,
                    precision=serving.precision,
                    threads=serving.threads,
                    batch=size,
                    device=device,
                )
                self._segmenters[size] = stack.enter_context(segmenter)
            self._opened = stack.pop_all()

    def description(self) -> bytes:
        """Return what `segrt.runtime.remote.description` reads."""
        segmenter = next(iter(self._segmenters.values()))
        description = Description(
            protocol=PROTOCOL,
            segrt=own_version(),
            digest=self._digest,
            precision=self._precision,
            backend=segmenter.backend.name,
            device=f"{segmenter.backend.name} on {segmenter.backend.device}",
            decode_device=segmenter.placement.device,
            reason=segmenter.backend.reason,
            manifest=msgspec.Raw((self._bundle.folder / MANIFEST).read_bytes()),
        )
        return msgspec.json.encode(description)

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        """Return an answer to each request: the tensors of its result, or what was wrong with it alone."""
        answers: dict[int, Answer] = {}
        pictures = []
        for index, request in enumerate(requests):
            with _failing_alone(answers, index):
                pictures.append(self._picture(index, request))
        running: list[tuple[Segmenter, Slot, list[_Picture]]] = []
        try:
            for segmenter, group in self._groups(pictures):
                if len(running) == segmenter.backend.slots:  # one is in the network while another is brought there
                    self._finish(*running.pop(0), answers)
                started = self._start(segmenter, group, answers)
                if started is not None:
                    running.append(started)
            while running:
                self._finish(*running.pop(0), answers)
        finally:  # after a fault of ours, too, every slot is there for the next requests
            for segmenter, slot, _ in running:
                with suppress(SegrtError):
                    segmenter.backend.wait(slot)
                with suppress(BackendError):
                    segmenter.backend.release(slot)
        return [answers[index] for index in range(len(requests))]

    def close(self) -> None:
        """Free the networks."""
        self._opened.close()

    def _picture(self, index: int, request: Request) -> _Picture:
        manifest = self._bundle.manifest
        wanted = request.parameters.get(EXPECTED)
        if wanted is not None and wanted != self._digest:
            raise BundleError(
                f"{manifest.name}: the server has another bundle now (digest {self._digest[:12]}, not "
                f"{str(wanted)[:12]}); open it again"
            )
        decode = self._decode(request.parameters)
        if isinstance(request.picture, bytes):
            return _Picture(index, given_picture(request.picture, manifest.inputs), decode)
        if manifest.image_input.takes_pictures and request.picture.shape[2] == 1:
            return _Picture(index, given_picture(request.picture[..., 0], manifest.inputs), decode)
        return _Picture(index, given_picture(request.picture, manifest.inputs), decode)

    def _decode(self, parameters: Mapping[str, Any]) -> DecodeRule | None:
        changes = to_changes(parameters)
        manifest = self._bundle.manifest
        return None if changes is None else changes.of(manifest.decode, manifest.name)

    def _groups(self, pictures: Sequence[_Picture]) -> Iterator[tuple[Segmenter, Sequence[_Picture]]]:
        """Yield pictures in as large batches as there are full ones of, so that nothing is computed in vain."""
        begin = 0
        while begin < len(pictures):
            size = next(size for size in self._segmenters if size <= len(pictures) - begin)
            yield self._segmenters[size], pictures[begin : begin + size]
            begin += size

    def _start(
        self, segmenter: Segmenter, group: Sequence[_Picture], answers: dict[int, Answer]
    ) -> tuple[Segmenter, Slot, list[_Picture]] | None:
        """Bring pictures into a slot and start the network; one that cannot be brought there fails alone."""
        slot = segmenter.backend.acquire()
        placed: list[_Picture] = []
        try:
            for picture in group:
                with _failing_alone(answers, picture.index):
                    picture.geometry = segmenter.preprocess(picture.image, slot, len(placed))
                    placed.append(picture)
            if placed:
                segmenter.backend.submit(slot)
                return segmenter, slot, placed
        except SegrtError as error:
            answers |= {picture.index: error for picture in placed}
        except BaseException:
            segmenter.backend.release(slot)
            raise
        segmenter.backend.release(slot)
        return None

    def _finish(self, segmenter: Segmenter, slot: Slot, placed: list[_Picture], answers: dict[int, Answer]) -> None:
        try:
            heads = segmenter.backend.wait(slot)
            for place, picture in enumerate(placed):
                assert picture.geometry is not None
                with _failing_alone(answers, picture.index):
                    result = segmenter.postprocess(heads, picture.geometry, place, decode=picture.decode)
                    answers[picture.index] = to_tensors(result, self._bundle.manifest)
        except SegrtError as error:
            answers |= {picture.index: error for picture in placed}
        finally:
            with suppress(BackendError):
                segmenter.backend.release(slot)


@contextmanager
def _failing_alone(answers: dict[int, Answer], index: int) -> Iterator[None]:
    """Let an error be the answer to one picture."""
    try:
        yield
    except SegrtError as error:
        answers[index] = error


def _read_serving(path: Path) -> Serving:
    try:
        serving = msgspec.json.decode(path.read_bytes()[:_MAX_SERVING], type=Serving)
    except (OSError, msgspec.DecodeError) as error:
        raise BundleError(f"{path}: cannot be read ({error}); export the model again") from None
    if not same_release(serving.segrt, own_version()):
        raise BundleError(
            f"{path}: the model was exported by segrt {serving.segrt}, but this server's Python has {own_version()}; "
            "install the same version, or export it again"
        )
    return serving
