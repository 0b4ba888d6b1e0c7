"""Video that the GPU decodes goes into the network with the CPU's bits, or is left to it."""

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
from nvdec_double import FakeNvdec, HardwareFrame, frames_of, write_clip

from segrt.runtime import open_bundle
from segrt.runtime.errors import DeviceLostError, VideoError
from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.preprocess.cuda.device_picture import DevicePicture
from segrt.runtime.stream.frame import Frame, GpuFrame
from segrt.runtime.stream.loop import open_pipeline, run_stream, stream
from segrt.runtime.stream.sources import cpu_decoder, gpu_decoder
from segrt.runtime.stream.sources.decoded_picture import to_picture
from segrt.runtime.stream.sources.live import RefusedError
from segrt.runtime.stream.sources.packets import PacketFeed
from segrt.runtime.stream.sources.source_kinds import open_source


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
