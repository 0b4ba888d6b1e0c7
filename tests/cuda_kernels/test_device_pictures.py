"""Pictures on the GPU: made of NV12 with the bits of the CPU's, sampled, fetched once, their memory used again."""

from fractions import Fraction
from typing import Any

import av
import numpy as np
from emulated_cuda import EmulatedCuda
from hypothesis import given
from hypothesis import strategies as st
from nvdec_double import device_picture

from segrt.runtime.inference.cuda.kernels import Kernels
from segrt.runtime.preprocess.cuda.device_picture import PictureMemory, on_host
from segrt.runtime.preprocess.cuda.video_kernels import COLOR_SPACES
from segrt.runtime.stream.sources.decoded_picture import to_picture
from segrt.runtime.stream.sources.frozen_picture import PictureWatch


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


def converted(memory: PictureMemory, frame: Any, space: int, *, full_range: bool) -> np.ndarray:
    return device_picture(memory, frame, space, full_range=full_range).array()


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
