"""A video decoder of a GPU that is none: FFmpeg's own decodes, and leaves NV12 where the emulator reads it."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from segrt.runtime.preprocess.cuda.device_picture import DevicePicture, PictureMemory
from segrt.runtime.preprocess.cuda.video_kernels import Nv12, bgr_launch, yuv_matrix
from segrt.runtime.stream.sources.source_kinds import open_source


class FakeNvdec:
    """Decodes in software, and gives each frame's planes as NV12, with a pitch that is not the width."""

    name = "h264"
    takes = True

    def __init__(self, stream: Any, *, fall_back: bool) -> None:
        self.context: Any = av.CodecContext.create(stream.codec_context.codec.canonical_name, "r")
        self.context.extradata = stream.codec_context.extradata
        self.fall_back, self.flags = fall_back, 0

    def decode(self, packet: Any) -> list[Any]:  # noqa: D102
        frames = self.context.decode(packet)
        return [HardwareFrame(frame) for frame in frames] if self.takes else frames


class HardwareFrame:
    """A decoded frame as PyAV gives it when it lies on the GPU."""

    kind = "nv12"

    def __init__(self, frame: Any) -> None:
        self.__dict__["_frame"] = frame
        self.sw_format = frame.reformat(format=self.kind).format
        self.planes = tuple(map(Plane, nv12_planes(frame)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._frame, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "time_base":
            self._frame.time_base = value
        else:
            self.__dict__[name] = value


class Plane:  # noqa: D101
    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows
        self.buffer_ptr, self.line_size = rows.ctypes.data, rows.strides[0]


def nv12_planes(frame: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return luma and interleaved chroma of a yuv420p frame, in rows that are longer than the picture."""
    height, width = frame.height, frame.width
    planar = frame.to_ndarray()  # yuv420p: luma, then U and V at half the sides
    luma = np.zeros((height, width + 46), np.uint8)
    luma[:, :width] = planar[:height]
    u, v = planar[height:].reshape(2, height // 2, width // 2)
    chroma = np.zeros((height // 2, width + 46), np.uint8)
    chroma[:, 0:width:2], chroma[:, 1:width:2] = u, v
    return luma, chroma


def write_clip(path: Path, *, size: tuple[int, int] = (96, 130), pix_fmt: str = "yuv420p", **settings: Any) -> None:
    random = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        out = container.add_stream("libx264", rate=Fraction(10), options={"preset": "ultrafast", "bf": "2"})
        out.height, out.width, out.pix_fmt = *size, pix_fmt
        for name, value in settings.items():
            setattr(out.codec_context, name, value)
        base = random.integers(0, 256, (size[0] // 8 + 1, size[1] // 8 + 1, 3), np.uint8)
        for index in range(9):
            picture = np.roll(base, index, 1).repeat(8, 0).repeat(8, 1)[: size[0], : size[1]]
            container.mux(out.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "bgr24")))
        container.mux(out.encode(None))


def frames_of(path: Path, wanted: Any) -> list[Any]:
    source = open_source(path)
    source.wanted_decoder = wanted
    try:
        return list(source.frames())
    finally:
        source.close()


def device_picture(memory: PictureMemory, frame: Any, space: int, *, full_range: bool) -> DevicePicture:
    luma, chroma = nv12_planes(frame)
    picture = memory.picture((frame.height, frame.width))
    nv12 = Nv12(luma.ctypes.data, chroma.ctypes.data, luma.strides[0], chroma.strides[0], frame.height, frame.width)
    launch = bgr_launch(nv12, yuv_matrix(space, full_range=full_range), picture.address)
    kernel = memory.kernels.function("video", "bgr_of_nv12")
    memory.cuda.launch(kernel, launch.grid, launch.block, launch.parameters, memory.stream)
    memory.stream.synchronize()
    return picture
