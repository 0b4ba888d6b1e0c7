"""Pictures prepared on the GPU against `fill_inputs` on the CPU."""

from dataclasses import dataclass

import msgspec
import numpy as np
import pytest
from emulated_cuda import EmulatedCuda, emulated_kernels
from hypothesis import given
from hypothesis import strategies as st
from programs import EmulatedQueue

from segrt.runtime.bundle.locating import embedded_names, read_bundle
from segrt.runtime.errors import ImageError
from segrt.runtime.inference.cuda.cuda_errors import CudaError
from segrt.runtime.inference.cuda.device_array import DeviceArray
from segrt.runtime.inference.cuda.slot_queue import SlotQueue
from segrt.runtime.preprocess.cuda.picture_filler import PictureFiller, why_not
from segrt.runtime.preprocess.input_spec import InputSpec, Resize, input_problems
from segrt.runtime.preprocess.picture import fill_inputs


@dataclass
class Slot:
    """Inputs of a batch on the emulated GPU, and the same on the CPU."""

    specs: tuple[InputSpec, ...]
    batch: int = 1
    order: int = 0
    integrated: bool = False

    def __post_init__(self):
        self.cuda = EmulatedCuda(order=self.order, integrated=self.integrated)
        self.queue = EmulatedQueue(self.cuda)
        shapes = {spec.name: (self.batch, *spec.shape[1:]) for spec in self.specs}
        self.on_cpu = {spec.name: np.full(shapes[spec.name], 7, spec.dtype) for spec in self.specs}
        self.buffers = {name: self.cuda.alloc(array.nbytes) for name, array in self.on_cpu.items()}
        self.queue.inputs = {
            name: DeviceArray(self.buffers[name].address, array.dtype, array.shape, self.queue)
            for name, array in self.on_cpu.items()
        }
        self.filler = PictureFiller(self.specs, self.queue.inputs, emulated_kernels(self.cuda))

    def fill(self, image, index=0):
        """Fill a place on both; return the geometry on the GPU after comparing it."""
        got = self.filler.fill(image, index)
        assert got == fill_inputs(image, self.specs, self.on_cpu, index, threads=1)
        return got

    def compare(self):
        """Wait, then compare all bits of all inputs."""
        self.queue.synchronize()
        assert not self.queue.uploads
        for name, want in self.on_cpu.items():
            got = self.buffers[name].memory[: want.nbytes].view(want.dtype).reshape(want.shape)
            np.testing.assert_array_equal(bits(got), bits(want), err_msg=name)


def bits(array):
    return array.view(f"u{array.itemsize}")


def pictures(random, size):
    """Return a picture of `size` with flat and noisy parts."""
    image = random.integers(0, 256, (*size, 3), np.uint8)
    image[: size[0] // 3] = random.integers(0, 2, 3) * 255
    return image


sides = st.integers(1, 60)
resizes = st.builds(
    lambda rule, linear, pad, side, rounding, shortest, multiple: Resize(
        rule=rule,
        interpolation=linear[0],
        antialias=linear[1],
        shortest_edge=shortest if rule == "shortest_edge" else None,
        pad=pad,
        pad_side=side,
        rounding=rounding,
        multiple=1 if rule == "stretch" else multiple,
    ),
    st.sampled_from(["stretch", "letterbox", "shortest_edge"]),
    st.sampled_from([("linear", False), ("linear", True), ("cubic", True), ("nearest", False)]),
    st.sampled_from([(0, 0, 0), (114, 114, 114), (104, 117, 255)]),
    st.sampled_from(["both", "bottom_right"]),
    st.sampled_from(["nearest", "floor", "half_up", "longer_floor"]),
    st.integers(8, 40),
    st.sampled_from([1, 1, 4]),
)
normalizations = st.sampled_from(
    [
        (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        (1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        (1.0, (103.53, 116.28, 123.675), (1.0, 1.0, 1.0)),
        (1e3, (0.1, 0.2, -0.3), (0.003, 2.0, -7.0)),  # float16's infinities
        (1e-7, (0.0, 1e-6, 0.0), (1.0, 1.0, 3.0)),  # and its smallest numbers
    ]
)


@st.composite
def image_specs(draw):
    dtype = draw(st.sampled_from(["float32", "float16", "uint8"]))
    layout = draw(st.sampled_from(["NCHW", "NHWC"]))
    height, width = draw(sides), draw(sides)
    scale, mean, std = draw(normalizations) if dtype != "uint8" else (1.0, (0.0,) * 3, (1.0,) * 3)
    spec = InputSpec(
        name="picture",
        dtype=dtype,
        shape=("N", 3, height, width) if layout == "NCHW" else ("N", height, width, 3),
        layout=layout,
        color=draw(st.sampled_from(["rgb", "bgr"])),
        scale=scale,
        mean=mean,
        std=std,
        resize=draw(resizes),
    )
    assert not list(input_problems(spec))
    masks = draw(st.sampled_from([None, None, "bool", "uint8", "float16", "int32", "float32", "int64"]))
    if masks is None:
        return (spec,)
    return (spec, InputSpec(name="mask", dtype=masks, shape=("N", height, width), role="valid_mask"))


@given(
    specs=image_specs(),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    seed=st.integers(0, 2**32 - 1),
    order=st.integers(0, 3),
)
@pytest.mark.parametrize("part", range(4))  # of the examples
@pytest.mark.filterwarnings("ignore:overflow")
def test_equals_the_cpu_bit_for_bit(specs, size, seed, order, part):  # noqa: ARG001
    random = np.random.default_rng(seed)
    slot = Slot(specs, order=order)
    for _ in range(2):
        slot.fill(pictures(random, size))
        slot.compare()
    slot.filler.free()
    assert slot.cuda.alive == len(specs) + 1  # inputs and stream


def exported(**wanted):
    return InputSpec(**{"name": "pixel_values", "dtype": "float32", "layout": "NCHW", "scale": 1 / 255} | wanted)


IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
EXPORTED = {
    "DETR": exported(
        shape=(1, 3, 100, 134),
        resize=Resize(
            rule="shortest_edge", shortest_edge=100, longest_edge=134, antialias=True, rounding="longer_floor",
            pad_side="bottom_right",
        ),
        **IMAGENET,
    ),
    "SegFormer": exported(shape=(1, 3, 64, 64), resize=Resize(antialias=True), **IMAGENET),
    "YOLO": exported(shape=(1, 3, 80, 80), resize=Resize(rule="letterbox", pad=(114, 114, 114))),
    "Mask2Former": exported(
        shape=("N", 3, 96, 128), resize=Resize(rule="letterbox", antialias=True, multiple=32), **IMAGENET
    ),
    "Mask R-CNN": exported(
        shape=(1, 3, 100, 134), color="bgr", scale=1.0, mean=(103.53, 116.28, 123.675),
        resize=Resize(rule="shortest_edge", shortest_edge=100, rounding="half_up", pad_side="bottom_right"),
    ),
    "torchvision": exported(shape=(1, 3, 65, 65), resize=Resize(rule="stretch"), **IMAGENET),
    "bytes": InputSpec(name="image", dtype="uint8", shape=(1, 64, 128, 3)),
    "half": exported(dtype="float16", shape=(1, 3, 64, 64), resize=Resize(interpolation="cubic", antialias=True)),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTED)
@pytest.mark.parametrize("size", [(270, 480), (480, 270), (33, 20), (1, 999)])
def test_inputs_of_known_families(name, size):
    slot = Slot((EXPORTED[name],))
    slot.fill(pictures(np.random.default_rng(0), size))
    slot.compare()


@pytest.mark.parametrize("name", embedded_names())
def test_inputs_of_embedded_bundles(name):
    slot = Slot(read_bundle(name).manifest.inputs, order=1)
    slot.fill(pictures(np.random.default_rng(1), (270, 480)))
    slot.compare()


def test_a_filter_that_reaches_further_than_shared_memory():
    spec = exported(shape=(1, 3, 3, 5), resize=Resize(antialias=True))
    slot = Slot((spec,), order=2)
    slot.fill(pictures(np.random.default_rng(2), (700, 130)))
    slot.compare()


def test_places_of_a_batch_and_pictures_of_changing_sizes():
    spec = exported(shape=("N", 3, 24, 32), resize=Resize(rule="letterbox", antialias=True, pad=(1, 2, 3)))
    mask = InputSpec(name="mask", dtype="int64", shape=("N", 24, 32), role="valid_mask")
    slot = Slot((spec, mask), batch=3)
    random = np.random.default_rng(3)
    for sizes in ([(40, 30), (10, 90), (24, 32)], [(90, 100), (10, 90), (7, 5)], [(40, 30), (11, 90), (24, 32)]):
        for index, size in enumerate(sizes):
            image = pictures(random, size)
            slot.fill(image, index)
            image[...] = 0  # it is ours again
        slot.compare()
    slot.filler.free()
    assert slot.cuda.alive == 3


def test_rows_that_no_kernel_reads_are_not_uploaded():
    spec = InputSpec(name="image", dtype="uint8", shape=(1, 24, 32, 3))
    slot = Slot((spec,))
    image = pictures(np.random.default_rng(4), (250, 60))
    slot.fill(image)
    slot.compare()
    assert slot.filler._staging[0, False]._picture_bytes == 2 * 24 * 60 * 3
    slot.fill(image[:, ::-1])
    slot.compare()


def test_views_of_larger_pictures_and_mirrored_ones():
    slot = Slot((exported(shape=(1, 3, 24, 32)),))
    whole = pictures(np.random.default_rng(5), (80, 90))
    for view in (whole[10:50, 20:70], whole[::-1], whole[:, ::-1], whole[..., ::-1], whole[::2, ::3]):
        slot.fill(view)
        slot.compare()


def test_memory_that_the_gpu_shares_is_read_in_place():
    slot = Slot((exported(shape=(1, 3, 24, 32), resize=Resize(antialias=True)),), integrated=True)
    for seed in range(2):
        slot.fill(pictures(np.random.default_rng(seed), (50, 60)))
        slot.compare()
    assert "upload" not in slot.cuda.log


def test_an_upload_for_each_part_of_a_large_picture_and_tables_once():
    slot = Slot((exported(shape=(1, 3, 24, 32), resize=Resize(antialias=True)),))
    uploads = []
    for seed in range(2):
        slot.fill(pictures(np.random.default_rng(seed), (800, 900)))
        uploads.append([what for what, _ in slot.queue.stream.queue].count("upload"))
        slot.compare()
    assert uploads == [3, 2]


def test_a_slots_own_inputs_are_not_uploaded_over_what_was_filled():
    @dataclass
    class Tensor:
        name: str
        dtype: str
        lengths: tuple[int, ...]

    spec, cuda = exported(shape=(1, 3, 24, 32)), EmulatedCuda()
    queue = SlotQueue("a network", cuda, [Tensor(spec.name, spec.dtype, (1, 3, 24, 32))], [])
    filler = queue.own(PictureFiller((spec,), queue.inputs, emulated_kernels(cuda)))
    for uploads in (False, True):
        image = pictures(np.random.default_rng(6), (50, 60))
        filler.fill(image)
        queue.uploads = uploads or queue.uploads
        queue.start(lambda: None)
        queue.synchronize()
        want = np.zeros((1, 3, 24, 32), np.float32)
        if not uploads:  # else the host's zeros come last
            fill_inputs(image, (spec,), {spec.name: want})
        np.testing.assert_array_equal(queue.inputs[spec.name].download(), want)
    queue.close()
    assert cuda.alive == 0


def test_a_full_gpu_leaves_nothing_behind():
    slot = Slot((exported(shape=(1, 3, 24, 32)),))
    slot.filler.fill(pictures(np.random.default_rng(0), (10, 10)))
    slot.queue.synchronize()
    slot.cuda.left, left = 100, slot.cuda.left
    with pytest.raises(CudaError, match="out of memory"):
        slot.filler.fill(pictures(np.random.default_rng(0), (50, 50)))
    slot.cuda.left = left
    slot.fill(pictures(np.random.default_rng(0), (50, 50)))
    slot.compare()


def test_a_kernel_that_does_not_load_leaves_no_older_one_behind():
    slot = Slot((exported(shape=(1, 3, 24, 32)),))
    slot.fill(pictures(np.random.default_rng(0), (10, 10)))
    slot.compare()
    linear = slot.filler._kernels._functions.pop(("preprocess", "picture_linear_float"))
    slot.cuda.library, library = None, slot.cuda.library
    for _ in range(2):
        with pytest.raises(CudaError, match="not found"):
            slot.filler.fill(pictures(np.random.default_rng(0), (11, 10)))
    slot.cuda.library = library
    slot.filler._kernels._functions["preprocess", "picture_linear_float"] = linear
    slot.fill(pictures(np.random.default_rng(0), (11, 10)))
    slot.compare()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"color": "grey", "shape": (1, 1, 9, 9)}, "'pixel_values' takes grey of uint8"),
        ({"values": "uint16"}, "'pixel_values' takes rgb of uint16"),
        ({"resize": Resize(interpolation="area")}, "'pixel_values' is resized by OpenCV's area"),
        ({"resize": Resize(interpolation="cubic")}, "'pixel_values' is resized by OpenCV's cubic"),
        ({"std": (1e-60, 1.0, 1.0)}, "'pixel_values' has a scale, mean or std beyond float32"),
    ],
)
def test_tells_what_stays_on_the_cpu(changes, told):
    spec = exported(**{"shape": (1, 3, 9, 9)} | changes)
    assert told in why_not((spec,))
    assert (
        why_not(
            (msgspec.structs.replace(spec, **{key: getattr(exported(shape=(1, 3, 9, 9)), key) for key in changes}),)
        )
        is None
    )


def test_refuses_what_the_cpu_refuses():
    slot = Slot((exported(shape=(1, 3, 9, 9)),))
    with pytest.raises(ImageError, match="uint8 BGR with shape"):
        slot.filler.fill(np.zeros((4, 4), np.uint8))
