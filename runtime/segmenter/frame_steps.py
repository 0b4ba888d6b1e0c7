"""The two steps around a backend: a picture into a slot, and what comes back into a result."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.members import member_manifest
from segrt.runtime.decode.decoders import find_decoder
from segrt.runtime.decode.decoding_place import Placement
from segrt.runtime.decode.rule import Context, DecodeRule
from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.tensors import Device, Head, Slot
from segrt.runtime.preprocess.channels import Raster, read_input
from segrt.runtime.preprocess.cuda.device_picture import DevicePicture, on_host
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.member_inputs import fill_members
from segrt.runtime.preprocess.picture import fill_inputs
from segrt.runtime.results import Result

if TYPE_CHECKING:
    from segrt.runtime.preprocess.cuda.slot_pictures import SlotPictures


class FrameSteps(Protocol):
    """What a `Segmenter` does before and behind its backend; each kind of backend has its own."""

    @property
    def preprocess_device(self) -> Device:
        """Where pictures are brought to the inputs."""

    def read(self, path: Path) -> Raster:
        """Return the picture at `path` as `fill` takes it; raise ImageError where it cannot be read or is none."""

    def fill(self, image: Raster | DevicePicture, slot: Slot, index: int) -> Geometry:
        """Put a picture into place `index` of the slot's batch; return where it lies there."""

    def fill_on_cpu(self, image: Raster, slot: Slot, index: int) -> Geometry:
        """Do as `fill` into the slot's views on the host."""

    def result(
        self, heads: Mapping[str, Head], geometry: Geometry, index: int, decode: DecodeRule | None = None
    ) -> Result:
        """Make a result of place `index` of what the backend gave, by `decode` or the rule in force."""

    def check_heads(self) -> None:
        """Raise BackendError where what the backend gives are no heads of a network."""


class NetworkSteps:
    """Preprocessing for a network of this process, and decoding of its heads."""

    def __init__(self, bundle: Bundle, backend: Backend, context: Context, placement: Placement | None) -> None:
        self._manifest = bundle.manifest
        self._head_device = backend.head_device
        self._context = context
        self._decoder = find_decoder(context.decode, backend.head_device)
        self._member_inputs = {
            member.name: member_manifest(bundle.manifest, member).inputs for member in bundle.manifest.members
        }
        self._inputs = self._member_inputs or {"": bundle.manifest.inputs}
        self._on_gpu: dict[int, SlotPictures] = {}
        self._device: Device = "cpu" if placement is None or not self._can(placement.device) else placement.device

    def _can(self, device: Device) -> bool:
        """Whether the pictures of one input at least can be prepared there."""
        if device == "cpu":
            return True
        from segrt.runtime.preprocess.cuda.slot_pictures import why_not_pictures

        return any(why_not_pictures(specs) is None for specs in self._inputs.values())

    @property
    def preprocess_device(self) -> Device:
        """Where pictures are brought to the inputs."""
        return self._device

    def read(self, path: Path) -> Raster:
        """Return the picture at `path` as the network wants it."""
        return read_input(path, self._manifest.inputs)

    def fill(self, image: Raster | DevicePicture, slot: Slot, index: int) -> Geometry:
        """Write a picture into the inputs: straight on the GPU where heads are decoded there, as far as kernels can."""
        if self._device == "cpu" or slot.gpu is None:
            return self.fill_on_cpu(on_host(image), slot, index)
        if slot.index not in self._on_gpu:
            from segrt.runtime.preprocess.cuda.slot_pictures import SlotPictures

            self._on_gpu[slot.index] = SlotPictures(self._inputs, slot, threads=self._context.threads)
        return self._on_gpu[slot.index].fill(image, index)

    def fill_on_cpu(self, image: Raster, slot: Slot, index: int) -> Geometry:
        """Write a picture into the slot's views on the host."""
        if self._member_inputs:
            return fill_members(image, self._member_inputs, slot.inputs, index, threads=self._context.threads)
        return fill_inputs(image, self._manifest.inputs, slot.inputs, index, threads=self._context.threads)

    def result(
        self, heads: Mapping[str, Head], geometry: Geometry, index: int, decode: DecodeRule | None = None
    ) -> Result:
        """Decode place `index` of the heads."""
        given = {spec.role: heads[spec.name] for spec in self._manifest.heads}
        # Another's than the backend's own where somebody else made the heads.
        device = next(iter(given.values())).device
        context = self._context if decode is None else self._context.by(decode)
        own = decode is None and device == self._head_device
        decoder = self._decoder if own else find_decoder(context.decode, device)
        return decoder({role: head.array[index] for role, head in given.items()}, geometry, context)

    def check_heads(self) -> None:
        """Let it be: a network gives heads."""
