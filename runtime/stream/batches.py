"""What travels between the stages: a batch of frames on its way through the network, then each frame with its result.

Slots are scarce and always come back: whoever holds a batch that it cannot pass on releases the batch's slot.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from segrt.runtime.errors import SegrtError
from segrt.runtime.files.images import Picture
from segrt.runtime.inference.tensors import Head, Slot
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Result
from segrt.runtime.stream.channel import Channel, Stopped
from segrt.runtime.stream.frame import Frame
from segrt.runtime.stream.frame_segmenter import FrameBackend
from segrt.runtime.stream.thinning import NetworkForecast

_Item = TypeVar("_Item", "Batch", "Job")


@dataclass(frozen=True)
class BatchedFrame:
    """A frame of a batch: where its picture lies in the network's input, and what writing it there took."""

    frame: Frame
    geometry: Geometry
    preprocess_ms: float


@dataclass(eq=False)
class Batch:
    """A slot on its way through the network, with the frames in its first places; the others hold nothing new."""

    slot: Slot | None
    frames: list[BatchedFrame]
    forecast: NetworkForecast
    waited: bool = False
    heads: Mapping[str, Head] | None = None
    inference_ms: float = 0.0
    settled: bool = False

    def settle(self) -> None:
        """Take the network's time, once it is known: after `wait`, or after the first decoding on the GPU."""
        if not self.settled and self.slot is not None:
            self.slot.settle()
            self.settled, self.inference_ms = True, self.slot.inference_ms
            self.forecast.finished(self.inference_ms)


@dataclass(eq=False)
class Job:
    """A frame with its result, and the drawing of it once there is one."""

    frame: Frame
    result: Result
    drawn: Picture | None = None


def pass_on(item: _Item, targets: Sequence[Channel[_Item]], backend: FrameBackend) -> None:
    """Put `item` into every channel of `targets`; when one has no consumer any more, release it and raise Stopped."""
    try:
        for channel in targets:
            channel.put(item)
    except Stopped:
        release([item], backend)
        raise


def release(items: Iterable[object], backend: FrameBackend) -> None:
    """Give back the slots of batches; frames and jobs are just dropped."""
    for batch in items:
        if not isinstance(batch, Batch) or batch.slot is None:
            continue
        slot, batch.slot = batch.slot, None
        with suppress(Exception):  # nobody wants these heads any more, so neither their error
            if not batch.waited:
                backend.wait(slot)
        with suppress(SegrtError):  # the backend has been closed, and the slot with it
            backend.release(slot)
