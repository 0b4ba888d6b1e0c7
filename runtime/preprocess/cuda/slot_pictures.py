"""Pictures into all inputs of one slot on the GPU, those of members too; what the kernels do not do the CPU does."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from segrt.runtime.files.images import Picture
from segrt.runtime.inference.cuda.cuda_errors import explained
from segrt.runtime.inference.cuda.device_array import GpuQueue
from segrt.runtime.inference.cuda.kernels import built_files, kernels_on
from segrt.runtime.inference.tensors import Slot, prefixed
from segrt.runtime.preprocess.cuda.device_picture import DevicePicture, on_host
from segrt.runtime.preprocess.cuda.picture_filler import PictureFiller, why_not
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import InputSpec
from segrt.runtime.preprocess.member_inputs import MemberGeometry
from segrt.runtime.preprocess.picture import fill_inputs

Members = Mapping[str, Sequence[InputSpec]]
_FILES = ("preprocess", "antialias")


def why_not_pictures(specs: Sequence[InputSpec]) -> str | None:
    """Return why pictures for these inputs are prepared on the CPU, or None where a GPU can do it."""
    missing = [file for file in _FILES if file not in built_files()]
    return f"this build of segrt has no kernels {', '.join(missing)}" if missing else why_not(specs)


class SlotPictures:
    """Fills one slot; made for inputs of which `why_not_pictures` says nothing for one network or member at least.

    `members` maps a member's name to its inputs; "" stands for the network of a bundle without members.
    """

    def __init__(self, members: Members, slot: Slot, *, threads: int = 0) -> None:
        self._members, self._slot, self._threads = members, slot, threads
        assert slot.gpu is not None
        self._queue: GpuQueue = slot.gpu
        self._what = f"preprocessing on {self._queue.cuda.device.name}"
        self._fillers: dict[str, PictureFiller] = {}
        for member, specs in members.items():
            if why_not_pictures(specs) is None:
                inputs = {spec.name: self._queue.inputs[_name(member, spec)] for spec in specs}
                self._fillers[member] = PictureFiller(specs, inputs, kernels_on(self._queue.cuda), threads=threads)
        self._queue.own(self)

    def fill(self, image: Picture | DevicePicture, index: int = 0) -> Geometry:
        """Put what brings `image` to place `index` into the slot's queue; see `PictureFiller.fill`.

        Raises DeviceLostError when the GPU is lost or has no memory left.
        """
        with explained(self._what):
            places = {member: self._filled(member, image, index) for member in self._members}
        first = next(iter(places.values()))
        if "" in places:
            return first
        return MemberGeometry(first.source_size, first.network_size, first.window, places)

    def free(self) -> None:
        """Free all memory; called with the queue's other memory."""
        while self._fillers:
            self._fillers.popitem()[1].free()

    def _filled(self, member: str, image: Picture | DevicePicture, index: int) -> Geometry:
        if member in self._fillers:
            return self._fillers[member].fill(image, index)
        specs = self._members[member]
        views: dict[str, npt.NDArray[Any]] = {spec.name: self._slot.inputs[_name(member, spec)] for spec in specs}
        return fill_inputs(on_host(image), specs, views, index, threads=self._threads)


def _name(member: str, spec: InputSpec) -> str:
    return prefixed(member, spec.name) if member else spec.name
