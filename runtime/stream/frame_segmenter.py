"""What the stages need of a segmenter and of what executes its network; a `Segmenter` has it, or a wrapper of one."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from segrt.runtime.bundle.manifest import Variant
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.tensors import Head, Slot
from segrt.runtime.preprocess.cuda.device_picture import DevicePicture
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Result


class FrameBackend(Protocol):
    """Executes batches of frames; see `segrt.runtime.inference.backend.Backend`."""

    @property
    def name(self) -> str:
        """What it is: "onnxruntime"."""

    @property
    def device(self) -> str:
        """What executes."""

    @property
    def reason(self) -> str:
        """Why it was taken, in one line."""

    @property
    def batch(self) -> int:
        """How many frames a slot holds."""

    def acquire(self) -> Slot:
        """Return a free slot; block while all are in flight."""

    def submit(self, slot: Slot) -> None:
        """Start execution on the slot's inputs."""

    def wait(self, slot: Slot) -> Mapping[str, Head]:
        """Wait for the execution and return the heads, name → head, valid until `release`."""

    def release(self, slot: Slot) -> None:
        """Give the slot back."""


class ServerListener(Protocol):
    """Who is told of a server's outages."""

    def server_lost(self) -> None:
        """Note that an outage begins."""

    def server_back(self) -> None:
        """Note that it answers again."""


@runtime_checkable
class ServerBackend(Protocol):
    """A `FrameBackend` that a server executes, which may be away for a while; see `segrt.runtime.remote`."""

    def begin_run(self, listener: ServerListener | None, *, endless: bool) -> None:
        """Tell `listener` of outages from here on; with `endless` they may last until `end_run`, or the next run."""

    def end_run(self) -> None:
        """End all waiting for the server, until another run begins."""


class FrameSegmenter(Protocol):
    """Turns pictures into network inputs, and heads into results."""

    @property
    def backend(self) -> FrameBackend:
        """What executes the network."""

    @property
    def variant(self) -> Variant:
        """The variant that is executed; its precision is noted in the metrics."""

    @property
    def technique(self) -> str:
        """`semantic`, `instance` or `panoptic`."""

    def preprocess(self, image: Picture | DevicePicture, slot: Slot, index: int = 0) -> Geometry:
        """Write `image`, uint8 BGR (H, W, 3), into place `index` of the slot's batch; return where it lies there.

        A wrapper that looks at pictures takes `on_host(image)`: see `segrt.runtime.preprocess.cuda.device_picture`.
        """

    def postprocess(self, heads: Mapping[str, Head], geometry: Geometry, index: int = 0) -> Result:
        """Decode place `index` of the heads into a result at source size, its `nonfinite_heads` counted."""
