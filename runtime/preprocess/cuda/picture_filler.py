"""Pictures into the inputs of one slot on the GPU: `fill_inputs` with one upload and one kernel."""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segrt.runtime.files.images import Picture
from segrt.runtime.inference.cuda.device_array import DeviceArray
from segrt.runtime.inference.cuda.interface import Cuda, DeviceBuffer, Function, HostBuffer, Shape, Stream
from segrt.runtime.inference.cuda.kernels import Kernels
from segrt.runtime.inference.cuda.launching import tiles
from segrt.runtime.postproc import copy_picture
from segrt.runtime.preprocess.channels import image_input
from segrt.runtime.preprocess.cuda.axis_tables import Table
from segrt.runtime.preprocess.cuda.device_picture import DevicePicture
from segrt.runtime.preprocess.cuda.picture_kernels import (
    BLOCK,
    PictureKernel,
    Pixels,
    picture_input,
    picture_kernel,
    placement,
    why_not_on_gpu,
)
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import InputSpec
from segrt.runtime.preprocess.picture import check_picture, place

_ALIGNED = 256  # bytes, for the tables behind a picture
_STRIP = 2 << 20  # bytes that are copied into page-locked memory while those before are uploaded


def why_not(specs: Sequence[InputSpec]) -> str | None:
    """Return why pictures for these inputs are prepared on the CPU, or None where the GPU can do it."""
    state = next((spec.name for spec in specs if spec.role == "state"), None)
    if state is not None:
        return f"input {state!r} is carried from frame to frame by the CPU"
    return why_not_on_gpu(image_input(specs))


class PictureFiller:
    """Writes uint8 BGR pictures into places of the batch on the GPU, bit for bit as `fill_inputs` does on the CPU.

    Made for inputs of which `why_not` says nothing; `inputs` are a slot's by the specs' names, all of one queue. A
    place's memory is used again when it is filled again: until then the work on the frame before must be done.
    `threads` copy into page-locked memory, 0 for all processors.
    """

    def __init__(
        self, specs: Sequence[InputSpec], inputs: Mapping[str, DeviceArray], kernels: Kernels, *, threads: int = 0
    ) -> None:
        self._specs, self._inputs, self._kernels, self._threads = tuple(specs), inputs, kernels, threads
        self._image = image_input(specs)
        self._queue = inputs[self._image.name].queue
        self._staging: dict[tuple[int, bool], _Staging] = {}

    def fill(self, image: Picture | DevicePicture, index: int = 0) -> Geometry:
        """Put upload and kernels for place `index` of the batch into the queue's stream; return without waiting.

        `image` is uint8 BGR (H, W, 3) and may be changed as soon as this returns; one that lies on this GPU is read
        there, and kept until the place is filled again. The slot's host views are left out of this frame's upload.
        Raises ImageError as `fill_inputs` does, CudaError where the GPU's memory is full.
        """
        resident = isinstance(image, DevicePicture)
        picture = image if isinstance(image, DevicePicture) else check_picture(image)
        with self._queue.cuda.current():
            staging = self._prepared(index, (picture.shape[0], picture.shape[1]), resident=resident)
            self._queue.picture_begins()
            staging.upload(picture, self._queue.stream, self._threads)
            self._queue.picture_uploaded()
            for launch in staging.launches:
                self._queue.cuda.launch(launch.function, launch.grid, BLOCK, launch.parameters, self._queue.stream)
        self._queue.uploads = False
        return staging.geometry

    def free(self) -> None:
        """Free all memory; nothing may be running on it."""
        with self._queue.cuda.current():
            while self._staging:
                self._staging.popitem()[1].free()

    def _prepared(self, index: int, size: tuple[int, int], *, resident: bool) -> "_Staging":
        """Return the memory of a place, ready for pictures of `size`."""
        staging = self._staging.setdefault((index, resident), _Staging(self._queue.cuda, resident=resident))
        if not staging.launches or staging.geometry.source_size != size:
            staging.launches = []
            geometry = place(size, self._image.size, self._image.resize)
            kernel = picture_kernel(self._image, geometry, whole=resident)
            staging.prepare(kernel)
            staging.launches = [
                self._picture_launch(kernel, staging, index),
                *(self._mask_launch(spec, kernel.geometry, index) for spec in self._specs if spec.role == "valid_mask"),
            ]
        return staging

    def _picture_launch(self, kernel: PictureKernel, staging: "_Staging", index: int) -> "_Launch":
        target = picture_input(self._image, kernel.geometry, self._inputs[self._image.name][index].address)
        function = self._kernels.function(kernel.file, kernel.name)
        return _Launch(function, kernel.grid, (target, staging.pixels, *kernel.axes(staging.table_addresses)))

    def _mask_launch(self, spec: InputSpec, geometry: Geometry, index: int) -> "_Launch":
        mask = self._inputs[spec.name][index]
        itemsize = mask.dtype.itemsize
        one = _UNSIGNED[itemsize](int(np.ones(1, mask.dtype).view(f"u{itemsize}")[0]))
        function = self._kernels.function("preprocess", f"valid_mask_{itemsize}")
        grid = tiles(mask.shape[1], mask.shape[0], 32, 8)
        return _Launch(function, grid, (ctypes.c_void_p(mask.address), placement(geometry), one))


@dataclass(frozen=True)
class _Launch:
    function: Function
    grid: Shape
    parameters: tuple[Any, ...]


_UNSIGNED = {1: ctypes.c_uint8, 2: ctypes.c_uint16, 4: ctypes.c_uint32, 8: ctypes.c_uint64}


def _copy(image: Picture, rows: slice | Table, target: Picture, threads: int) -> None:
    """Copy these rows of `image` into `target`."""
    if image.strides[1:] != target.strides[1:]:
        target[...] = image[rows]
    elif isinstance(rows, slice):
        copy_picture(image[rows], target, threads=threads)
    else:
        copy_picture(image, target, rows=rows, threads=threads)


class _Staging:
    """Page-locked memory for a picture and its kernel's tables, and the same on the GPU; it grows.

    On GPUs that share the host's memory the kernels read the page-locked memory itself. Of pictures that are `resident`
    on the GPU nothing but the tables lies here, and the last one is kept. `pixels` is where kernels find the picture.
    """

    def __init__(self, cuda: Cuda, *, resident: bool) -> None:
        self.pixels = Pixels()
        self.kernel: PictureKernel | None = None
        self._resident: DevicePicture | None = None
        self._holds_pictures = not resident
        self.table_addresses: tuple[int, ...] = ()
        self.launches: list[_Launch] = []
        self._cuda = cuda
        self._mapped = cuda.device.integrated and cuda.device.can_map_host_memory
        self._host: HostBuffer | None = None
        self._device: DeviceBuffer | None = None
        self._nbytes, self._picture_bytes = 0, 0
        self._new_tables = False

    @property
    def geometry(self) -> Geometry:
        """Where pictures of the size that was prepared lie in the input."""
        assert self.kernel is not None
        return self.kernel.geometry

    @property
    def address(self) -> int:
        """The picture on the GPU."""
        memory = self._host if self._mapped else self._device
        assert memory is not None
        return memory.address

    def prepare(self, kernel: PictureKernel) -> None:
        """Make room for pictures of the kernel's size and its tables."""
        height, width = kernel.stored_size
        picture_bytes = height * width * 3 if self._holds_pictures else 0
        starts, end = [], picture_bytes
        for table in kernel.tables:
            starts.append(-(-end // _ALIGNED) * _ALIGNED)
            end = starts[-1] + table.nbytes
        self.kernel = None
        self._reserve(end)
        self._nbytes, self._picture_bytes = end, picture_bytes
        self._new_tables = bool(kernel.tables)
        assert self._host is not None
        for start, table in zip(starts, kernel.tables, strict=True):
            self._host.array[start : start + table.nbytes] = table.ravel().view(np.uint8)
        self.kernel = kernel
        self.table_addresses = tuple(self.address + start for start in starts)
        self.pixels.data, self.pixels.height, self.pixels.width = self.address, height, width

    def upload(self, image: Picture | DevicePicture, stream: Stream, threads: int) -> None:
        """Copy what the kernel reads of `image` here, and put its upload into the stream."""
        if isinstance(image, DevicePicture):
            self._resident, self.pixels.data = image, image.address
        else:
            self._upload_picture(image, stream, threads)
        if self._new_tables:
            self._send(self._picture_bytes, self._nbytes - self._picture_bytes, stream)
            self._new_tables = False

    def free(self) -> None:
        """Give the memory back."""
        for memory in (self._host, self._device):
            if memory is not None:
                memory.free()
        self._host, self._device, self.kernel, self._resident = None, None, None, None

    def _upload_picture(self, image: Picture, stream: Stream, threads: int) -> None:
        assert self._host is not None
        assert self.kernel is not None
        (height, width), used = self.kernel.stored_size, self.kernel.used_rows
        here = self._host.array[: self._picture_bytes].reshape(height, width, 3)
        at_once = max(1, _STRIP // (3 * width))
        for first in range(0, height, at_once):
            strip = slice(first, first + at_once)
            part = here[strip]
            _copy(image, strip if used is None else used[strip], part, threads)
            self._send(first * 3 * width, part.nbytes, stream)

    def _reserve(self, nbytes: int) -> None:
        if self._host is not None and self._host.array.nbytes >= nbytes:
            return
        self.free()
        if self._mapped:
            self._host = self._cuda.alloc_mapped(nbytes)
            return
        self._device = self._cuda.alloc(nbytes)
        try:
            self._host = self._cuda.alloc_pinned(nbytes)
        except BaseException:
            self.free()
            raise

    def _send(self, start: int, nbytes: int, stream: Stream) -> None:
        if not self._mapped:
            assert self._host is not None
            self._cuda.upload(self.address + start, self._host.array[start : start + nbytes], stream)
