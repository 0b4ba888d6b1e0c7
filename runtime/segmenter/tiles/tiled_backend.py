"""A segmenter of tiles as a backend: a slot holds a picture of any size, what `wait` returns is its joined result."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any

from segrt.runtime.errors import BackendError
from segrt.runtime.inference.backend import Backend, Stopwatch
from segrt.runtime.inference.tensors import Array, Head, Slot
from segrt.runtime.preprocess.tiling import Tiling
from segrt.runtime.results import Result
from segrt.runtime.segmenter.calling import Segmenter
from segrt.runtime.segmenter.tiles.tile_runner import segment_tiles
from segrt.runtime.stream.frame_segmenter import ServerBackend, ServerListener

RESULTS = "results"
"""The one "head" of this backend: its array is a list of one result."""


class TiledBackend(Backend):
    """Segments pictures tile by tile with `segmenter`, which is its own and closed with it.

    One picture's tiles are in work at a time. A slot's `inference_ms` is what all of it took: tiles brought to the
    network, the network, decoding and joining.
    """

    def __init__(self, segmenter: Segmenter, tiling: Tiling) -> None:
        inner = segmenter.backend
        self.segmenter, self.tiling = segmenter, tiling
        self.name, self.device, self.remark = inner.name, inner.device, inner.remark
        self.why_no_graph = inner.why_no_graph
        self.reason = f"{inner.reason}; in tiles of {tiling}"
        self._pictures: dict[int, Any] = {}
        self._pending: dict[int, Future[tuple[Result, float]]] = {}
        self._turn = Lock()
        self._worker = ThreadPoolExecutor(1, "segrt tiles")
        super().__init__((), ())

    @property
    def batch(self) -> int:
        """A slot holds one picture: it is its tiles that go through the network in batches."""
        return 1

    def put(self, slot: Slot, picture: Any) -> None:
        """Take a picture, an array (H, W, …) or what gives one for [rows, columns]."""
        self._pictures[slot.index] = picture

    def release(self, slot: Slot) -> None:
        """Give the slot back."""
        self._pictures.pop(slot.index, None)
        super().release(slot)

    def _make_inputs(self, index: int) -> Mapping[str, Array]:  # noqa: ARG002 (pictures are put, see `put`)
        return {}

    def _start(self, slot: Slot) -> None:
        self._pending[slot.index] = self._worker.submit(self._segmented, self._picture(slot))

    def _finish(self, slot: Slot) -> Mapping[str, Head]:
        return self._answer(slot, self._pending.pop(slot.index).result())

    def _run(self, slot: Slot) -> Mapping[str, Head]:
        return self._answer(slot, self._segmented(self._picture(slot)))

    def _picture(self, slot: Slot) -> Any:
        if slot.index not in self._pictures:
            raise BackendError(f"{self.name}: slot {slot.index} holds no picture")
        return self._pictures[slot.index]

    def _segmented(self, picture: Any) -> tuple[Result, float]:
        with self._turn:
            watch = Stopwatch()
            result = segment_tiles(self.segmenter, picture, self.tiling, lambda: self._closed)
            return result, watch.ms()

    def _answer(self, slot: Slot, done: tuple[Result, float]) -> Mapping[str, Head]:
        result, slot.inference_ms = done
        return {RESULTS: Head(RESULTS, [result])}

    def _shut(self) -> None:
        self._worker.shutdown()
        with self._turn:
            self.segmenter.close()


class TiledServerBackend(TiledBackend):
    """The same where a server executes the tiles: whoever runs a stream tells that server's backend."""

    def begin_run(self, listener: ServerListener | None, *, endless: bool) -> None:
        """Tell `listener` of outages from here on; with `endless` they may last until `end_run`, or the next run."""
        self._server.begin_run(listener, endless=endless)

    def end_run(self) -> None:
        """End all waiting for the server, until another run begins."""
        self._server.end_run()

    def close(self) -> None:
        """End the waiting for the server first: what runs would last as long as its outage."""
        self._server.end_run()
        super().close()

    @property
    def _server(self) -> ServerBackend:
        assert isinstance(self.segmenter.backend, ServerBackend)
        return self.segmenter.backend


def tiled_backend(segmenter: Segmenter, tiling: Tiling) -> TiledBackend:
    """Return the backend that gives pictures to `segmenter` tile by tile."""
    served = isinstance(segmenter.backend, ServerBackend)
    return (TiledServerBackend if served else TiledBackend)(segmenter, tiling)
