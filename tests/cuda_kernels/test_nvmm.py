"""Pictures in Jetson's memory: surfaces and EGL images that the test makes, read through CUDA's real bindings' types.

What that cannot show is a Jetson: whether NVIDIA's libraries do what their headers say.
"""

import ctypes
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from emulated_cuda import EmulatedCuda
from nvdec_double import nv12_planes

from segrt.runtime.errors import DeviceLostError, VideoError
from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.stream.sources import gstreamer, nvmm
from segrt.runtime.stream.sources.decoded_picture import to_picture

driver = pytest.importorskip("cuda.bindings.driver")


class Jetson:
    """One NV12 picture in Jetson's memory, its library and CUDA's driver."""

    def __init__(self, space: int = 6) -> None:
        planar = np.random.default_rng(3).integers(0, 256, (90, 50), np.uint8)
        self.frame = av.VideoFrame.from_ndarray(planar, "yuv420p")
        self.frame.colorspace = space
        self.planes = nv12_planes(self.frame)
        self.params = nvmm.SurfaceParams(50, 60)
        surface = nvmm.Surface(0, 1, 1, False, 4, ctypes.pointer(self.params))
        self.data = bytearray(surface)
        self.calls: list[str] = []
        self.mapped = True
        self.kind = driver.CUeglFrameType.CU_EGL_FRAME_TYPE_PITCH
        self.fails: CudaError | None = None

    @property
    def surface(self) -> nvmm.Surface:  # noqa: D102
        return nvmm.Surface.from_buffer(self.data)

    def NvBufSurfaceMapEglImage(self, surface: Any, index: int) -> int:  # noqa: D102, N802
        assert index == 0
        self.calls.append("map")
        if self.mapped:
            surface._obj.surface_list[0].mapped_addr.egl_image = 0xE61
        return 0 if self.mapped else -1

    def NvBufSurfaceUnMapEglImage(self, surface: Any, index: int) -> int:  # noqa: D102, N802
        assert index == 0
        self.calls.append("unmap")
        surface._obj.surface_list[0].mapped_addr.egl_image = None
        return 0

    def __call__(self, name: str, *args: Any) -> Any:
        """Be the driver."""
        self.calls.append(name)
        if name == "cuGraphicsEGLRegisterImage":
            assert args == (0xE61, 1)
            if self.fails is not None:
                raise self.fails
            return "resource"
        assert args[0] == "resource"
        if name != "cuGraphicsResourceGetMappedEglFrame":
            return None
        frame = driver.CUeglFrame()
        frame.width, frame.height, frame.pitch = 50, 60, self.planes[0].strides[0]
        frame.planeCount, frame.frameType = 2, self.kind
        frame.frame.pPitch = [*(plane.ctypes.data for plane in self.planes), 0]
        return frame


@pytest.fixture
def jetson(gpu: EmulatedCuda, monkeypatch: pytest.MonkeyPatch) -> Jetson:
    made = Jetson()
    monkeypatch.setattr(nvmm, "library", lambda: made)
    monkeypatch.setattr(nvmm, "Driver", lambda: made)
    monkeypatch.setattr(nvmm, "open_cuda", lambda: gpu)
    return made


def caps(colorimetry: str | None) -> Any:
    return SimpleNamespace(get_value={"colorimetry": colorimetry}.get)


def test_the_structures_are_those_of_the_header() -> None:
    """Offsets as nvbufsurface.h gives them on aarch64, whose alignment is that of x86-64."""
    offsets = {name: getattr(nvmm.Surface, name).offset for name in ("num_filled", "mem_type", "surface_list")}
    assert offsets == {"num_filled": 8, "mem_type": 16, "surface_list": 24}
    names = ("buffer_desc", "data_ptr", "plane_params", "mapped_addr")
    assert [getattr(nvmm.SurfaceParams, name).offset for name in names] == [24, 40, 48, 280]
    assert nvmm._MappedAddr.egl_image.offset == 32


@pytest.mark.parametrize(
    ("colorimetry", "space", "full_range"),
    [("bt601", 6, False), ("bt709", 1, False), (None, 6, False), ("1:4:0:0", 6, True), ("2:3:5:1", 1, False)],
)
def test_a_picture_is_that_of_the_cpu(
    jetson: Jetson, gpu: EmulatedCuda, colorimetry: str | None, space: int, full_range: bool
) -> None:
    jetson.frame.colorspace, jetson.frame.color_range = space, 2 if full_range else 1
    pictures = nvmm.NvmmPictures()
    picture = pictures.picture(jetson.data, caps(colorimetry))
    np.testing.assert_array_equal(picture.array(), to_picture(jetson.frame, Fraction(1), None))
    assert jetson.calls == [
        "map",
        "cuGraphicsEGLRegisterImage",
        "cuGraphicsResourceGetMappedEglFrame",
        "cuGraphicsUnregisterResource",
        "unmap",
    ]
    pictures.close()
    del picture
    assert gpu.alive == 0


def test_what_is_no_such_surface_is_refused_in_one_line_and_let_go(jetson: Jetson, gpu: EmulatedCuda) -> None:
    pictures = nvmm.NvmmPictures()

    def refused() -> str:
        with pytest.raises(VideoError) as caught:
            pictures.picture(jetson.data, caps(None))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    jetson.kind = driver.CUeglFrameType.CU_EGL_FRAME_TYPE_ARRAY
    assert "50x60 is no NV12 in rows" in refused()
    jetson.fails = CudaError("cuGraphicsEGLRegisterImage", "CUDA_ERROR_INVALID_VALUE", "invalid argument")
    assert "cannot be read by CUDA (cuGraphicsEGLRegisterImage failed" in refused()
    assert jetson.calls.count("map") == jetson.calls.count("unmap")
    jetson.mapped = False
    assert "cannot be mapped" in refused()
    jetson.surface.mem_type = 2
    assert "memory (kind 2) is not that of Jetson's hardware" in refused()
    jetson.data = bytearray(8)
    assert "holds no surface" in refused()
    pictures.close()
    assert gpu.alive == 0


def test_a_lost_gpu_ends_the_process(jetson: Jetson) -> None:
    pictures = nvmm.NvmmPictures()
    jetson.fails = CudaError("cuGraphicsEGLRegisterImage", "cudaErrorLaunchFailure", "unspecified launch failure")
    with pytest.raises(DeviceLostError):
        pictures.picture(jetson.data, caps(None))


def test_nothing_but_the_option_brings_it_into_a_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    pipelines: list[tuple[str, Any]] = []
    gst = SimpleNamespace(ElementFactory=SimpleNamespace(find=lambda name: name == "nvarguscamerasrc"))
    monkeypatch.setattr(gstreamer, "start", lambda _: gst)
    monkeypatch.setattr(
        gstreamer, "GstreamerFeed", lambda pipeline, _, pictures: pipelines.append((pipeline, type(pictures)))
    )
    monkeypatch.setattr(nvmm.NvmmPictures, "__init__", lambda _: None)
    for wanted in ("cpu", "auto", "cuda"):
        source = gstreamer.CsiSource("csi://1?width=640&height=480&fps=30", "camera")
        source.wanted_decoder = wanted
        source._connect()
    camera = "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),width=640,height=480,framerate=30/1"
    on_host = f"{camera} ! nvvidconv ! video/x-raw,format=BGRx", gstreamer.BgrPictures
    assert pipelines == [on_host, on_host, (camera, nvmm.NvmmPictures)]
    assert gstreamer._with_sink(camera, nvmm.NvmmPictures.ending).startswith(
        f"{camera} ! nvvidconv bl-output=false ! video/x-raw(memory:NVMM),format=NV12 ! appsink"
    )


def test_where_it_is_not_there_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    nvmm.why_no_nvmm.cache_clear()
    monkeypatch.setattr(nvmm, "built_files", lambda: ("video",))
    assert "libnvbufsurface.so is not there" in str(nvmm.why_no_nvmm())
    assert gstreamer.CsiSource.why_not_on_gpu() == nvmm.why_no_nvmm()
    nvmm.why_no_nvmm.cache_clear()
