"""Video that the GPU decodes: FFmpeg's own decoder plays NVDEC, and leaves NV12 where the emulator reads it."""

import logging
import pickle
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from emulated_cuda import EmulatedCuda
from hypothesis import given
from hypothesis import strategies as st

from segrt.runtime import open_bundle
from segrt.runtime.decode.decoders import PROGRAMS
from segrt.runtime.errors import DeviceLostError, VideoError
from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.inference.cuda.kernels import Kernels
from segrt.runtime.preprocess.cuda.device_picture import DevicePicture, PictureMemory, on_host
from segrt.runtime.preprocess.cuda.video_kernels import COLOR_SPACES, Nv12, bgr_launch, yuv_matrix
from segrt.runtime.stream.frame import Frame, GpuFrame
from segrt.runtime.stream.loop import open_pipeline, run_stream, stream
from segrt.runtime.stream.sources import cpu_decoder, gpu_decoder
from segrt.runtime.stream.sources.decoded_picture import to_picture
from segrt.runtime.stream.sources.frozen_picture import PictureWatch
from segrt.runtime.stream.sources.live import RefusedError
from segrt.runtime.stream.sources.packets import PacketFeed
from segrt.runtime.stream.sources.source_kinds import open_source

FILES = ("antialias", "preprocess", "video", *PROGRAMS)


@pytest.fixture
def nvdec(gpu: EmulatedCuda, monkeypatch: pytest.MonkeyPatch) -> EmulatedCuda:
    """Let segrt see a GPU that decodes video."""
    for module in ("decode.decoding_place", "inference.cuda.kernels", "preprocess.cuda.slot_pictures"):
        monkeypatch.setattr(f"segrt.runtime.{module}.built_files", lambda: FILES)
    monkeypatch.setattr(gpu_decoder, "why_no_gpu_decoder", lambda: None)
    monkeypatch.setattr(gpu_decoder, "open_cuda", lambda: gpu)
    monkeypatch.setattr(gpu_decoder, "_hardware_context", FakeNvdec)
    return gpu


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


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Return a clip of nine pictures with times that B-frames reorder."""
    path = tmp_path / "clip.mp4"
    write_clip(path)
    return path


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


def test_every_colour_is_that_of_the_cpu(gpu: EmulatedCuda) -> None:
    """All 2**24 values of a pixel, each in some place, are too many: all lumas with random chromas, and the edges."""
    random = np.random.default_rng(0)
    memory = PictureMemory(gpu, gpu.default_stream(), gpu.kernels)
    for space in sorted(COLOR_SPACES):
        for color_range in (1, 2):
            height, width = 64, 96
            planar = random.integers(0, 256, (height * 3 // 2, width), np.uint8)
            planar[: height // 2] = random.choice([0, 1, 15, 16, 17, 128, 234, 235, 236, 254, 255], (32, width))
            planar[height:][planar[height:] > 200] = 255
            planar[height:][planar[height:] < 30] = 0
            frame = av.VideoFrame.from_ndarray(planar, "yuv420p")
            frame.colorspace, frame.color_range = space, color_range
            got = converted(memory, frame, space, full_range=color_range == 2)
            np.testing.assert_array_equal(got, to_picture(frame, Fraction(1), None), err_msg=f"{space} {color_range}")
    memory.close()
    assert gpu.alive == 0


@given(half=st.tuples(st.integers(1, 40), st.integers(1, 40)), seed=st.integers(0, 1000))
def test_pictures_of_any_even_size(half: tuple[int, int], seed: int) -> None:
    gpu = EmulatedCuda()
    height, width = half[0] * 2, half[1] * 2
    planar = np.random.default_rng(seed).integers(0, 256, (height * 3 // 2, width), np.uint8)
    frame = av.VideoFrame.from_ndarray(planar, "yuv420p")
    memory = PictureMemory(gpu, gpu.default_stream(), Kernels(gpu, read=lambda _: b""))
    picture = device_picture(memory, frame, 2, full_range=False)
    wanted = to_picture(frame, Fraction(1), None)
    steps = max(1, height // 8), max(1, width // 5)
    np.testing.assert_array_equal(picture.every(*steps), wanted[:: steps[0], :: steps[1]])
    np.testing.assert_array_equal(picture.array(), wanted)
    assert picture.every(2, 3).base is picture.array(), "what is on the host is not fetched again"
    memory.close()
    assert gpu.alive > 0
    del picture
    assert gpu.alive == 0


def device_picture(memory: PictureMemory, frame: Any, space: int, *, full_range: bool) -> DevicePicture:
    luma, chroma = nv12_planes(frame)
    picture = memory.picture((frame.height, frame.width))
    nv12 = Nv12(luma.ctypes.data, chroma.ctypes.data, luma.strides[0], chroma.strides[0], frame.height, frame.width)
    launch = bgr_launch(nv12, yuv_matrix(space, full_range=full_range), picture.address)
    kernel = memory.kernels.function("video", "bgr_of_nv12")
    memory.cuda.launch(kernel, launch.grid, launch.block, launch.parameters, memory.stream)
    memory.stream.synchronize()
    return picture


def converted(memory: PictureMemory, frame: Any, space: int, *, full_range: bool) -> np.ndarray:
    return device_picture(memory, frame, space, full_range=full_range).array()


def test_a_file_gives_the_same_frames(nvdec: EmulatedCuda, clip: Path) -> None:
    on_cpu, on_gpu = frames_of(clip, "cpu"), frames_of(clip, "cuda")
    assert len(on_gpu) == 9
    for got, wanted in zip(on_gpu, on_cpu, strict=True):
        assert isinstance(got, GpuFrame)
        assert isinstance(got.picture, DevicePicture)
        assert (got.size, got.index, got.pts, got.source_id) == (
            wanted.size,
            wanted.index,
            wanted.pts,
            wanted.source_id,
        )
        np.testing.assert_array_equal(got.image, wanted.image)
        assert got.image is got.image
    del got
    on_gpu.clear()
    assert nvdec.alive == 0


def test_results_of_a_stream_are_the_same_and_nothing_is_uploaded(
    nvdec: EmulatedCuda, clip: Path, tmp_path: Path
) -> None:
    with open_bundle("street-panoptic", threads=1) as segmenter:
        metrics = run_stream(segmenter, clip, ["null"])
        assert (metrics.frames_out, metrics.gpu_frames) == (9, 9)
        nvdec.log.clear()
        run_stream(segmenter, clip, ["null"])
        uploads = nvdec.log.count("upload")
        got = [result for _, result in stream(segmenter, clip)]
        on_cpu = run_stream(segmenter, clip, [str(tmp_path / "o.jsonl")], decode_video="cpu")
        assert on_cpu.gpu_frames == 0
        wanted = [result for _, result in stream(segmenter, clip, decode_video="cpu")]
    assert uploads <= 2, "of tables, once a slot"
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one.segment_ids, other.segment_ids)
        np.testing.assert_array_equal(one.image, other.image)
        assert one.segments == other.segments
    del got, wanted, one, other
    assert nvdec.alive == 0


def test_where_pictures_are_prepared_on_the_cpu_video_is_decoded_there(nvdec: EmulatedCuda, clip: Path) -> None:
    assert nvdec is not None
    with open_bundle("street-semantic", threads=1, decode_on="cpu") as segmenter:
        assert run_stream(segmenter, clip, ["null"]).gpu_frames == 0
        wanted = [result.class_map for _, result in stream(segmenter, clip)]
        asked = run_stream(segmenter, clip, ["null"], decode_video="cuda")
        assert asked.gpu_frames == 9
        got = [result.class_map for _, result in segmenter.stream(clip, decode_video="cuda")]
    np.testing.assert_array_equal(got, wanted)


def test_colours_that_the_container_alone_states_are_taken(nvdec: EmulatedCuda, clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "stated.mp4"
    with av.open(str(clip)) as source, av.open(str(path), "w", options={"movflags": "+write_colr"}) as target:
        given = source.streams.video[0]
        taken = target.add_stream_from_template(given)
        taken.codec_context.colorspace, taken.codec_context.color_range = 1, 2
        taken.codec_context.color_primaries = taken.codec_context.color_trc = 1
        for packet in source.demux(given):
            if packet.dts is not None:
                packet.stream = taken
                target.mux(packet)
    with av.open(str(path)) as stated:
        assert stated.streams.video[0].codec_context.colorspace == 1
    other = frames_of(clip, "cpu")[0].image
    for got, wanted in zip(frames_of(path, "cuda"), frames_of(path, "cpu"), strict=True):
        assert isinstance(got, GpuFrame)
        np.testing.assert_array_equal(got.image, wanted.image)
    assert (got.image != other).any()
    del got
    assert nvdec.alive == 0


def test_pictures_that_change_on_the_way_go_to_the_host_or_end(
    nvdec: EmulatedCuda, clip: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(HardwareFrame, "kind", "p010le")
    with av.open(str(clip)) as container:
        deeper = [frame.reformat(format="yuv420p10le") for frame in container.decode(video=0)]
    for got, frame in zip(frames_of(clip, "auto"), deeper, strict=True):
        np.testing.assert_array_equal(got.image, to_picture(frame, Fraction(1), None))
    assert caplog.text.count("pictures of 130x96 p010le); decoded on the CPU") == 1
    with pytest.raises(VideoError, match=r"pictures of 130x96 p010le\); take --decode-video cpu"):
        frames_of(clip, "cuda")
    assert nvdec.alive == 0


def test_frames_of_a_loop_can_be_kept_copied_and_pickled(nvdec: EmulatedCuda, clip: Path) -> None:
    with open_bundle("street-semantic", threads=1) as segmenter:
        kept = [frame for frame, _ in segmenter.stream(clip)]
    assert nvdec.alive == 0, "kept frames hold nothing of the GPU"
    assert replace(kept[0], index=7).index == 7
    (on_gpu, *_) = frames_of(clip, "cuda")
    copied = pickle.loads(pickle.dumps(on_gpu))
    assert type(copied) is Frame
    np.testing.assert_array_equal(copied.image, kept[0].image)


def test_a_turned_video_comes_to_the_host(nvdec: EmulatedCuda, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quarter = (0.0, 1.0, -1.0, 0.0)
    monkeypatch.setattr(cpu_decoder, "display_matrix", lambda _: quarter)
    on_cpu, on_gpu = frames_of(clip, "cpu"), frames_of(clip, "cuda")
    for got, wanted in zip(on_gpu, on_cpu, strict=True):
        assert got.size == (130, 96)
        np.testing.assert_array_equal(got.image, wanted.image)
    assert nvdec.alive == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pix_fmt": "yuv444p"}, "its pixels are yuv444p, and only 8-bit 4:2:0"),
        ({"sample_aspect_ratio": Fraction(4, 3)}, "its pixels are not square"),
    ],
)
def test_what_is_not_taken_there_is_decoded_on_the_cpu_or_refused(
    nvdec: EmulatedCuda, tmp_path: Path, settings: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "other.mp4"
    write_clip(path, **settings)
    with caplog.at_level(logging.INFO, "segrt.stream"):
        frames = frames_of(path, "auto")
    assert len(frames) == 9
    assert not any(isinstance(frame, GpuFrame) for frame in frames)
    assert words in caplog.text
    with pytest.raises(VideoError) as caught:
        frames_of(path, "cuda")
    assert str(caught.value).startswith(f"{path}: cannot be decoded on the GPU: {words}")
    assert "\n" not in str(caught.value)
    assert nvdec.alive == 0


def test_a_decoder_that_does_not_take_the_stream_falls_back_or_ends(
    nvdec: EmulatedCuda, clip: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(FakeNvdec, "takes", False)
    wanted = frames_of(clip, "cpu")
    with caplog.at_level(logging.WARNING, "segrt.stream"):
        got = frames_of(clip, "auto")
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    assert caplog.text.count("does not take it (h264 of 130x96); decoded on the CPU") == 1
    with pytest.raises(VideoError, match=r"does not take it \(h264 of 130x96\); take --decode-video cpu"):
        frames_of(clip, "cuda")
    assert nvdec.alive == 0


@pytest.mark.parametrize("first", [0, 3])
def test_a_decoder_that_fails_before_its_first_frame_leaves_all_of_them_to_the_cpu(
    first: int, nvdec: EmulatedCuda, clip: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    packets = 0

    def decode(_: FakeNvdec, packet: Any) -> list[Any]:  # noqa: ARG001 (as FakeNvdec has it)
        nonlocal packets
        packets += 1
        if packets > first:
            raise av.error.ArgumentError(22, "Invalid argument")
        return []

    wanted = frames_of(clip, "cpu")
    monkeypatch.setattr(FakeNvdec, "decode", decode)
    got = frames_of(clip, "auto")
    assert [frame.pts for frame in got] == [frame.pts for frame in wanted]
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    assert caplog.text.count("decoded on the CPU") == 1
    packets = 0
    with pytest.raises(VideoError, match="Invalid argument"):
        frames_of(clip, "cuda")
    assert nvdec.alive == 0


def test_without_a_decoder_auto_is_the_cpu_and_cuda_an_error(
    nvdec: EmulatedCuda, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nvdec is not None
    monkeypatch.setattr(gpu_decoder, "why_no_gpu_decoder", lambda: "there is none")
    with open_bundle("street-semantic", threads=1) as segmenter:
        assert run_stream(segmenter, clip, ["null"]).gpu_frames == 0
        with pytest.raises(
            VideoError, match=r"^decode_video cuda: .*clip.mp4: there is none; leave it out, or take cpu$"
        ):
            open_pipeline(segmenter, clip, decode_video="cuda")
        with pytest.raises(VideoError, match=r"street:.* its pictures are no video that the GPU decodes"):
            open_pipeline(segmenter, "street://?seed=1", decode_video="cuda")


def test_a_gpu_that_is_lost_ends_the_process(nvdec: EmulatedCuda, clip: Path) -> None:
    source = open_source(clip)
    source.wanted_decoder = "cuda"
    frames = source.frames()
    next(frames)
    nvdec.fail["cuLaunchKernel"] = CudaError("cuLaunchKernel", "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure")
    with pytest.raises(DeviceLostError, match=r"^video on Fake GPU: the GPU is lost"):
        list(frames)
    nvdec.fail.clear()
    source.close()


def test_frozen_and_black_pictures_are_seen_without_fetching_them(nvdec: EmulatedCuda) -> None:
    memory = PictureMemory(nvdec, nvdec.default_stream(), nvdec.kernels)
    on_gpu, on_cpu = PictureWatch(1.0), PictureWatch(1.0)
    frames = [picture_frame(seed) for seed in (1, 1, 1, 2, 0, 0)]
    nvdec.log.clear()
    states = []
    for second, frame in enumerate(frames):
        picture = device_picture(memory, frame, 2, full_range=False)
        state = on_gpu.look(picture, float(second))
        assert state == on_cpu.look(to_picture(frame, Fraction(1), None), float(second))
        states.append(state)
    assert states == [None, "frozen", "frozen", None, "black", "black"]
    assert nvdec.log.count("download") == len(frames)
    memory.close()


def picture_frame(seed: int) -> Any:
    planar = np.full((300, 130), 16, np.uint8)
    planar[200:] = 128
    if seed:
        planar[:200] = np.random.default_rng(seed).integers(60, 200, (200, 130), np.uint8)
    return av.VideoFrame.from_ndarray(planar, "yuv420p")


def test_memory_is_used_again_and_comes_back(nvdec: EmulatedCuda) -> None:
    memory = PictureMemory(nvdec, nvdec.default_stream(), nvdec.kernels)
    addresses = set()
    for _ in range(5):
        addresses.add(memory.picture((40, 60)).address)
    assert len(addresses) == 1
    held = memory.picture((40, 60))
    other = memory.picture((20, 60))
    assert nvdec.alive == 2, "what waits in another size is freed"
    memory.close()
    assert nvdec.alive == 2
    del held, other
    assert nvdec.alive == 0


def test_on_host_leaves_arrays_alone() -> None:
    array = np.zeros((2, 2, 3), np.uint8)
    assert on_host(array) is array


def test_a_live_feed_gives_pictures_on_the_gpu(nvdec: EmulatedCuda, clip: Path) -> None:
    shots = {}
    for wanted in ("cpu", "cuda"):
        feed = PacketFeed(str(clip), timeout=4, decoder=wanted, name="camera")
        shots[wanted] = [feed.read() for _ in range(5)]
        feed.close()
    for on_gpu, on_cpu in zip(shots["cuda"], shots["cpu"], strict=True):
        assert isinstance(on_gpu.picture, DevicePicture)
        assert on_gpu.pts == on_cpu.pts
        np.testing.assert_array_equal(on_gpu.picture.array(), on_cpu.picture)
    del on_gpu
    shots.clear()
    assert nvdec.alive == 0


def test_a_camera_whose_video_the_gpu_must_but_cannot_decode_is_not_asked_for_ever(
    nvdec: EmulatedCuda, tmp_path: Path
) -> None:
    assert nvdec is not None
    path = tmp_path / "other.mp4"
    write_clip(path, pix_fmt="yuv444p")
    with pytest.raises(RefusedError, match="cannot be decoded on the GPU: its pixels are yuv444p"):
        PacketFeed(str(path), timeout=4, decoder="cuda", name="camera")
