"""Video decoded by the GPU's own decoder (NVDEC), through PyAV: the pictures stay there.

FFmpeg decodes into NV12 in the GPU's memory; a kernel makes BGR of it with the bits that swscale makes on x86-64.
Pictures that have to be turned upright are copied to the host.
"""

import ctypes
import logging
from contextlib import suppress
from functools import cache, partial
from typing import Any

import av
import av.error

from segrt.runtime.errors import BackendError, VideoError
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.cuda.choice import open_cuda
from segrt.runtime.inference.cuda.cuda_errors import explained
from segrt.runtime.inference.cuda.kernels import built_files
from segrt.runtime.preprocess.cuda.device_picture import DevicePicture, PictureMemory
from segrt.runtime.preprocess.cuda.video_kernels import COLOR_SPACES, Nv12, bgr_launch, yuv_matrix
from segrt.runtime.stream.sources.cpu_decoder import LOW_DELAY, CpuDecoder, Upright
from segrt.runtime.stream.sources.decoded_picture import FULL_RANGE, pixel_ratio_of, turn

log = logging.getLogger("segrt.stream")
_FORMATS = ("yuv420p", "yuvj420p", "nv12")
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_PLANAR = {"nv12": "yuv420p", "p010le": "yuv420p10le", "p016le": "yuv420p16le", "nv16": "yuv422p", "nv24": "yuv444p"}
_MOST_UNSEEN = 64  # packets without a frame: far more than any decoder holds back
_LIBRARY = "libnvcuvid.so.1"  # NVIDIA's video decoder, which the driver brings


@cache
def why_no_gpu_decoder() -> str | None:
    """Return why no video is decoded on this machine's GPU, or None where nothing speaks against it."""
    if "video" not in built_files():
        return "this build of segrt has no kernels for video"
    try:
        from av.codec.hwaccel import HWAccel, hwdevices_available

        HWAccel("cuda", is_hw_owned=True)
    except (ImportError, TypeError):
        return f"PyAV {av.__version__} cannot leave pictures on the GPU: pip install 'av>=17'"
    if "cuda" not in hwdevices_available():
        return "this PyAV's FFmpeg is built without CUDA"
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return (
            f"{_LIBRARY}, NVIDIA's video decoder, is not there: install the driver's decode library, or give the "
            "container the driver capability `video`"
        )
    return None


def why_not_on_gpu(stream: Any) -> str | None:
    """Return why a stream is not decoded there, or None."""
    context = stream.codec_context
    if (reason := why_no_gpu_decoder()) is not None:
        return reason
    if context.codec.canonical_name == "av1":  # as seen with PyAV 18 on an H200, whose NVDEC knows AV1
        return "FFmpeg's AV1 decoder does not hand its work to the GPU through PyAV"
    if context.pix_fmt not in _FORMATS:
        return f"its pixels are {context.pix_fmt}, and only 8-bit 4:2:0 is taken there"
    if context.width % 2 or context.height % 2:
        return f"its size {context.width}x{context.height} is odd"
    if context.colorspace not in COLOR_SPACES:
        return f"its colour space ({context.colorspace}) is not converted there"
    if pixel_ratio_of(stream) != 1:
        return "its pixels are not square"
    if not any(config.device_type.name == "cuda" for config in _codec_of(stream).hardware_configs):
        return f"FFmpeg has no CUDA decoder for {context.name}"
    return None


class GpuDecoder:
    """Decodes a stream of which `why_not_on_gpu` says nothing.

    FFmpeg finds out with the first frame whether this GPU's decoder takes the stream. If it does not, with `strict` a
    VideoError is raised; else frames are decoded on the CPU by `threads`, which is said once. Raises VideoError where
    the GPU cannot be opened.
    """

    device = "cuda"

    def __init__(self, stream: Any, *, strict: bool, name: str, threads: int = 1, low_delay: bool = False) -> None:
        self._strict, self._name, self._fell_back = strict, name, False
        self._on_cpu: CpuDecoder | None = None
        self._make_on_cpu = partial(CpuDecoder, stream, threads=threads, low_delay=low_delay)
        self._upright, self._time_base = Upright(stream), stream.time_base
        self._matrices: dict[tuple[int, bool], Any] = {}
        # What the container alone states: the CPU's decoder is given it with the stream.
        self._stated = stream.codec_context.colorspace, stream.codec_context.color_range
        # Until the first frame, so that the CPU can begin where the GPU's decoder gives none.
        self._unseen: list[Any] | None = None if strict else []
        try:
            cuda = open_cuda()
            with cuda.current():
                self._context: Any = _hardware_context(stream, fall_back=not strict)
                self._memory = PictureMemory(cuda, cuda.default_stream())
                self._kernel = self._memory.kernels.function("video", "bgr_of_nv12")
        except (av.error.FFmpegError, OSError, NotImplementedError, BackendError) as error:
            raise VideoError(f"the GPU's video decoder cannot be opened ({error})") from None
        if low_delay:
            self._context.flags |= LOW_DELAY

    def decode(self, packet: Any) -> list[av.VideoFrame]:
        """See `VideoDecoder`."""
        if self._on_cpu is not None:
            return self._on_cpu.decode(packet)
        try:
            frames: list[av.VideoFrame] = self._context.decode(packet)
        except av.error.InvalidDataError:
            raise
        except (av.error.FFmpegError, OSError) as error:
            if self._unseen is None:
                raise
            return self._begin_on_cpu(packet, str(error))
        if frames or len(self._unseen or ()) == _MOST_UNSEEN:
            self._unseen = None
        elif self._unseen is not None:
            self._unseen.append(packet)
        for frame in frames:  # the last packet, which is empty, has no time base to hand on
            frame.time_base = self._time_base
        return frames

    def picture(self, frame: av.VideoFrame) -> Picture | DevicePicture:
        """See `VideoDecoder`. Raises DeviceLostError when the GPU is lost or has no memory left."""
        sw_format = getattr(frame, "sw_format", None)
        if sw_format is None:
            if self._on_cpu is None:
                self._fall_back(f"{self._context.name} of {frame.width}x{frame.height}")
            return self._upright.picture(frame)
        if sw_format.name != "nv12" or frame.width % 2 or frame.height % 2 or frame.colorspace not in COLOR_SPACES:
            self._fall_back(f"pictures of {frame.width}x{frame.height} {sw_format.name}")
            return self._upright.picture(self._on_host(frame, sw_format.name))
        picture = self._converted(frame)
        matrix = self._upright.matrix(frame)
        return picture if matrix is None else turn(picture.array(), matrix)

    def close(self) -> None:
        """See `VideoDecoder`."""
        self._context = None
        self._memory.close()

    def _begin_on_cpu(self, packet: Any, reason: str) -> list[av.VideoFrame]:
        """Give the CPU's decoder everything that the GPU's has made nothing of."""
        self._fall_back(reason)
        packets, self._unseen, self._context = [*(self._unseen or ()), packet], None, None
        self._on_cpu = self._make_on_cpu()
        frames = []
        for unseen in packets:
            with suppress(av.error.InvalidDataError):
                frames += self._on_cpu.decode(unseen)
        return frames

    def _converted(self, frame: av.VideoFrame) -> DevicePicture:
        """Return the frame as BGR on the GPU; FFmpeg may have its memory back afterwards."""
        memory = self._memory
        key = self._colors(frame)
        if key not in self._matrices:
            self._matrices[key] = yuv_matrix(key[0], full_range=key[1])
        luma, chroma = frame.planes
        nv12 = Nv12(luma.buffer_ptr, chroma.buffer_ptr, luma.line_size, chroma.line_size, frame.height, frame.width)
        with memory.cuda.current(), explained(f"video on {memory.cuda.device.name}"):
            picture = memory.picture((frame.height, frame.width))
            launch = bgr_launch(nv12, self._matrices[key], picture.address)
            memory.cuda.launch(self._kernel, launch.grid, launch.block, launch.parameters, memory.stream)
            memory.stream.synchronize()
        return picture

    def _colors(self, frame: av.VideoFrame) -> tuple[int, bool]:
        """Return the colour space, and whether luma goes from 0 to 255: as frame or container state it."""
        space = frame.colorspace if frame.colorspace != _UNSPECIFIED else self._stated[0]
        color_range = frame.color_range or self._stated[1]
        return (space if space in COLOR_SPACES else _UNSPECIFIED), color_range == FULL_RANGE

    def _on_host(self, frame: av.VideoFrame, sw_format: str) -> av.VideoFrame:
        """Return a frame that the kernel does not take on the host, planar, as the CPU's decoder gives it."""
        on_host = frame.reformat(format=_PLANAR.get(sw_format, sw_format))
        on_host.colorspace, on_host.color_range = frame.colorspace, frame.color_range
        if on_host.colorspace == _UNSPECIFIED:
            on_host.colorspace = self._stated[0]
        on_host.color_range = on_host.color_range or self._stated[1]
        return on_host

    def _fall_back(self, reason: str) -> None:
        """Say once that the CPU decodes, or that it must not."""
        if self._strict:
            raise VideoError(f"this GPU's video decoder does not take it ({reason}); take --decode-video cpu")
        if not self._fell_back:
            self._fell_back, self.device = True, "cpu"
            what = "this GPU's video decoder does not take it"
            log.warning("%s: %s (%s); decoded on the CPU", self._name, what, reason)


def _codec_of(stream: Any) -> Any:
    """Return FFmpeg's own decoder of the stream's codec, which is the one that hands its work to the GPU."""
    return av.Codec(stream.codec_context.codec.canonical_name, "r")


def _hardware_context(stream: Any, *, fall_back: bool) -> Any:
    """Return a decoder that works in the CUDA context which is current.

    A primary context that somebody has made before, as ONNX Runtime does, FFmpeg refuses to take by itself.
    """
    from av.codec.hwaccel import HWAccel

    options: dict[str, object] = {"primary_ctx": "0", "current_ctx": "1"}
    accel = HWAccel("cuda", allow_software_fallback=fall_back, options=options, is_hw_owned=True)
    context: Any = av.CodecContext.create(_codec_of(stream), "r", hwaccel=accel)
    context.extradata = stream.codec_context.extradata
    context.thread_count = 1
    return context
