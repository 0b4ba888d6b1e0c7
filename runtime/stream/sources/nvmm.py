"""Pictures of Jetson's hardware (camera, decoder, converter) where they lie: NVMM memory, read by CUDA.

GStreamer's buffers of `video/x-raw(memory:NVMM)` hold an `NvBufSurface` (nvbufsurface.h of Jetson Linux); its memory
becomes an EGL image, and that a frame of CUDA (cudaEGL.h). No Jetson was to hand: this is written against NVIDIA's
headers and the real bindings, and tested with surfaces that a test makes. It is used where `--decode-video cuda` asks
for it, and never by itself.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from segrt.runtime.errors import BackendError, VideoError
from segrt.runtime.inference.cuda.choice import open_cuda
from segrt.runtime.inference.cuda.cuda_errors import CudaError, explained
from segrt.runtime.inference.cuda.cuda_python import Driver
from segrt.runtime.inference.cuda.kernels import built_files
from segrt.runtime.preprocess.cuda.device_picture import DevicePicture, PictureMemory
from segrt.runtime.preprocess.cuda.video_kernels import Nv12, bgr_launch, yuv_matrix

_LIBRARY = "libnvbufsurface.so"
_PLANES = 4  # NVBUF_MAX_PLANES
_PADDING = 4  # STRUCTURE_PADDING
_SURFACE_ARRAY = 4  # NVBUF_MEM_SURFACE_ARRAY, Jetson's memory
_READ_ONLY = 1  # CU_GRAPHICS_REGISTER_FLAGS_READ_ONLY
_PITCH = 1  # CU_EGL_FRAME_TYPE_PITCH
# What GStreamer's caps say of colours → FFmpeg's number of the colour space.
_SPACES = {"bt709": 1, "bt2020": 9, "bt2020-10": 9, "smpte240m": 7}


_OF_PLANES = ("width", "height", "pitch", "offset", "psize", "bytes_per_pix")


class _PlaneParams(ctypes.Structure):
    _fields_ = (
        ("num_planes", ctypes.c_uint32),
        *((name, ctypes.c_uint32 * _PLANES) for name in _OF_PLANES),
        ("_reserved", ctypes.c_void_p * (_PADDING * _PLANES)),
    )


class _MappedAddr(ctypes.Structure):
    _fields_ = (("addr", ctypes.c_void_p * _PLANES), ("egl_image", ctypes.c_void_p))


class SurfaceParams(ctypes.Structure):
    """The beginning of `NvBufSurfaceParams`: one picture of a surface. There is never more than one here."""

    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("width", "height", "pitch", "color_format", "layout")),
        ("buffer_desc", ctypes.c_uint64),
        ("data_size", ctypes.c_uint32),
        ("data_ptr", ctypes.c_void_p),
        ("plane_params", _PlaneParams),
        ("mapped_addr", _MappedAddr),
    )


class Surface(ctypes.Structure):
    """The beginning of `NvBufSurface`."""

    _fields_ = (
        ("gpu_id", ctypes.c_uint32),
        ("batch_size", ctypes.c_uint32),
        ("num_filled", ctypes.c_uint32),
        ("is_contiguous", ctypes.c_bool),
        ("mem_type", ctypes.c_int),
        ("surface_list", ctypes.POINTER(SurfaceParams)),
    )


@cache
def why_no_nvmm() -> str | None:
    """Return why pictures in NVMM memory cannot be read here, or None where nothing speaks against it."""
    if "video" not in built_files():
        return "this build of segrt has no kernels for video"
    try:
        Driver()
    except ImportError:
        return "pictures in Jetson's memory need cuda-python: pip install 'segrt[gpu]'"
    try:
        library()
    except OSError:
        return f"{_LIBRARY} is not there: it comes with Jetson Linux (package nvidia-l4t-multimedia-utils)"
    return None


@cache
def library() -> Any:
    """Return NVIDIA's library of surfaces; raise OSError where there is none."""
    loaded = ctypes.CDLL(_LIBRARY)
    for name in ("NvBufSurfaceMapEglImage", "NvBufSurfaceUnMapEglImage"):
        function = getattr(loaded, name)
        function.argtypes, function.restype = (ctypes.POINTER(Surface), ctypes.c_int), ctypes.c_int
    return loaded


class NvmmPictures:
    """Makes pictures on the GPU of a GStreamer feed's NV12 surfaces; raises VideoError where the GPU cannot be opened.

    `ending` is what the pipeline ends in before its appsink.
    """

    ending = "nvvidconv bl-output=false ! video/x-raw(memory:NVMM),format=NV12"
    format = "NV12"

    def __init__(self) -> None:
        try:
            self._library, self._driver = library(), Driver()
            cuda = open_cuda()
            with cuda.current():
                self._memory = PictureMemory(cuda, cuda.default_stream())
                self._kernel = self._memory.kernels.function("video", "bgr_of_nv12")
        except (OSError, ImportError, BackendError) as error:
            raise VideoError(f"Jetson's memory cannot be read by the GPU ({error})") from None

    def picture(self, data: Any, caps: Any) -> DevicePicture:
        """Return the picture of the surface that a mapped buffer's `data` is; it may be used again afterwards.

        Raises VideoError for a surface of another kind, DeviceLostError when the GPU is lost.
        """
        held = np.frombuffer(data, np.uint8)
        if held.nbytes < ctypes.sizeof(Surface):
            raise VideoError("the buffer holds no surface of Jetson's hardware; leave --decode-video out")
        surface, colorimetry = Surface.from_address(held.ctypes.data), caps.get_value("colorimetry")
        memory = self._memory
        with memory.cuda.current(), explained(f"video on {memory.cuda.device.name}"), self._mapped(surface) as frame:
            height, width = int(frame.height), int(frame.width)
            if int(frame.frameType) != _PITCH or int(frame.planeCount) != 2 or height % 2 or width % 2:
                raise VideoError(f"the surface of {width}x{height} is no NV12 in rows; leave --decode-video out")
            luma, chroma = (int(plane) for plane in frame.frame.pPitch[:2])
            space, full_range = _colors(colorimetry)
            matrix = yuv_matrix(space, full_range=full_range)
            nv12 = Nv12(luma, chroma, int(frame.pitch), int(frame.pitch), height, width)
            picture = memory.picture((height, width))
            launch = bgr_launch(nv12, matrix, picture.address)
            memory.cuda.launch(self._kernel, launch.grid, launch.block, launch.parameters, memory.stream)
            memory.stream.synchronize()
        return picture

    def close(self) -> None:
        """Free the memory; pictures stay."""
        self._memory.close()

    @contextmanager
    def _mapped(self, surface: Surface) -> Iterator[Any]:
        """Let CUDA see the first picture of a surface for a block."""
        if surface.mem_type != _SURFACE_ARRAY or not surface.num_filled:
            raise VideoError(f"the buffer's memory (kind {surface.mem_type}) is not that of Jetson's hardware")
        if self._library.NvBufSurfaceMapEglImage(ctypes.byref(surface), 0) != 0:
            raise VideoError("the surface cannot be mapped (NvBufSurfaceMapEglImage failed)")
        try:
            image = surface.surface_list[0].mapped_addr.egl_image
            resource = self._driver("cuGraphicsEGLRegisterImage", image, _READ_ONLY)
            try:
                yield self._driver("cuGraphicsResourceGetMappedEglFrame", resource, 0, 0)
            finally:
                self._driver("cuGraphicsUnregisterResource", resource)
        except CudaError as error:
            if error.is_sticky:
                raise
            raise VideoError(f"the surface cannot be read by CUDA ({error})") from None
        finally:
            self._library.NvBufSurfaceUnMapEglImage(ctypes.byref(surface), 0)


def _colors(colorimetry: str | None) -> tuple[int, bool]:
    """Return FFmpeg's colour space, and whether luma goes from 0 to 255, of GStreamer's `colorimetry`.

    That is a name, bt709, or four numbers of GstVideoColorimetry: range (1 is full), matrix, transfer, primaries.
    """
    text = (colorimetry or "").lower()
    parts = text.split(":")
    if len(parts) == 4:
        space = {"2": 4, "3": 1, "4": 6, "5": 7, "6": 9}.get(parts[1], 6)
        return space, parts[0] == "1"
    return _SPACES.get(text, 6), False
