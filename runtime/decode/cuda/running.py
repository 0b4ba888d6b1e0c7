"""Runs the programs of decode rules on the GPU: made once for heads and a picture's geometry, then launched as a graph.

A runner belongs to the queue of one slot, so that the decoders of two slots share nothing. Its programs are freed with
the queue, or when others of other geometries take their place.
"""

import logging
from collections import OrderedDict
from collections.abc import Hashable
from contextlib import ExitStack
from threading import Lock

from segrt.runtime.decode.cuda.program import Heads, Program, UnfitHeadsError
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.decode.decoders import PROGRAMS, find_decoder
from segrt.runtime.decode.rule import Context
from segrt.runtime.inference.cuda.cuda_errors import CudaError, explained
from segrt.runtime.inference.cuda.device_array import GpuQueue
from segrt.runtime.inference.cuda.interface import Graph
from segrt.runtime.inference.cuda.kernels import kernels_on
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Result

log = logging.getLogger("segrt.decode")

# So many geometries are kept ready for each place of a batch: the sources of a stream, or the pictures of one camera.
_MOST_GEOMETRIES = 4
_CALL_BY_CALL = "decoding on the GPU is launched call by call, for it cannot be recorded as a graph ({})"


def decode_on_gpu(heads: Heads, geometry: Geometry, context: Context) -> Result:
    """Decode heads that lie on the GPU, behind their network and in its queue; wait once.

    What no program takes is downloaded and decoded on the CPU, which is said once. Raises DeviceLostError when the GPU
    is lost or has no memory left, BackendError when the kernels cannot be loaded.
    """
    return _runner_of(next(iter(heads.values())).queue).decode(heads, geometry, context)


class Runner:
    """The programs of one slot's queue, the last used of them last."""

    def __init__(self, queue: GpuQueue) -> None:
        self._queue = queue
        self._what = f"decoding on {queue.cuda.device.name}"
        self._ready: OrderedDict[Hashable, _Ready] = OrderedDict()
        self._places: set[int] = set()

    def decode(self, heads: Heads, geometry: Geometry, context: Context) -> Result:
        """See `decode_on_gpu`."""
        with self._queue.cuda.current(), explained(self._what):
            try:
                ready = self._ready_for(heads, geometry, context)
            except UnfitHeadsError as error:
                return _decoded_on_cpu(str(error), heads, geometry, context)
            ready.put()
            queues = dict.fromkeys(array.queue for array in heads.values())
            for queue in queues:
                queue.decoded()
            ready.program.download()
        for queue in queues:
            queue.synchronize()
        with self._queue.cuda.current(), explained(self._what):
            return ready.program.result()

    def free(self) -> None:
        """Free all programs; called with the queue's other memory."""
        with _LOCK:
            _RUNNERS.pop(self._queue, None)
        with ExitStack() as stack:  # all of them, though a lost device takes none back
            while self._ready:
                stack.callback(self._ready.popitem()[1].free)

    def _ready_for(self, heads: Heads, geometry: Geometry, context: Context) -> "_Ready":
        # A segmenter keeps its context, and comparing the labels in it for each frame would take longer than a launch.
        key = (id(context), geometry, *((role, array.address, array.shape) for role, array in heads.items()))
        ready = self._ready.get(key)
        if ready is not None:
            self._ready.move_to_end(key)
            return ready
        self._places.add(next(iter(heads.values())).address)
        while len(self._ready) >= _MOST_GEOMETRIES * len(self._places):
            self._ready.popitem(last=False)[1].free()
        try:
            ready = _Ready(self._queue, heads, geometry, context)
        except CudaError as error:
            if not error.is_out_of_memory or not self._ready:
                raise
            while self._ready:  # what was kept for other geometries is not worth ending for
                self._ready.popitem()[1].free()
            ready = _Ready(self._queue, heads, geometry, context)
        self._ready[key] = ready
        return ready


class _Ready:
    """A program with its memory: the first frame launches call by call, which loads what is still to be loaded."""

    def __init__(self, queue: GpuQueue, heads: Heads, geometry: Geometry, context: Context) -> None:
        self._queue = queue
        self._graph: Graph | None = None
        self._is_first = True
        why_no_graph = _why_no_graph(queue, heads)
        self._records = why_no_graph is None
        if why_no_graph is not None:
            _say_once(_CALL_BY_CALL.format(why_no_graph), logging.INFO)
        self._workspace = Workspace(queue, kernels_on(queue.cuda))
        try:
            self.program = _program_for(heads, context)(heads, geometry, context, self._workspace)
        except BaseException:
            self._workspace.close()
            raise

    def put(self) -> None:
        """Put the frame's work into the queue."""
        if self._graph is None and self._records and not self._is_first:
            self._record()
        if self._graph is not None:
            self._graph.launch(self._queue.stream)
        else:
            self.program.enqueue()
        self._is_first = False

    def free(self) -> None:
        """Free the memory; nothing may be running on it."""
        graph, self._graph = self._graph, None
        try:
            if graph is not None:
                graph.free()
        finally:
            self._workspace.close()

    def _record(self) -> None:
        try:
            self._graph = self._queue.cuda.capture(self._queue.stream, self.program.enqueue)
        except CudaError as error:
            if error.is_sticky:
                raise
            self._records = False
            _say_once(_CALL_BY_CALL.format(error), logging.WARNING)


def _program_for(heads: Heads, context: Context) -> type[Program]:
    rule = context.decode.rule_name
    if rule not in PROGRAMS:
        raise UnfitHeadsError(f"rule {rule} has no kernels")
    program: type[Program] = PROGRAMS.load(rule)
    why = program.why_not_rule(context.decode)
    why = why or program.why_not({role: array.dtype for role, array in heads.items()})
    if why is not None:
        raise UnfitHeadsError(why)
    return program


def _decoded_on_cpu(why: str, heads: Heads, geometry: Geometry, context: Context) -> Result:
    _say_once(f"heads are downloaded and decoded on the CPU: {why}", logging.WARNING)
    arrays = {role: array.download() for role, array in heads.items()}
    return find_decoder(context.decode, "cpu")(arrays, geometry, context)


def _runner_of(queue: GpuQueue) -> Runner:
    with _LOCK:
        runner = _RUNNERS.get(queue)
        if runner is None:
            runner = _RUNNERS[queue] = Runner(queue)
            queue.own(runner)
    return runner


def _why_no_graph(queue: GpuQueue, heads: Heads) -> str | None:
    if not queue.cuda.has_graphs:
        return f"{queue.cuda.name} has no CUDA graphs"
    if any(array.queue is not queue for array in heads.values()):
        return "two networks' heads lie in two streams"
    return None


def _say_once(text: str, level: int) -> None:
    if text not in _SAID:
        _SAID.add(text)
        log.log(level, "%s", text)


_LOCK = Lock()
_RUNNERS: dict[GpuQueue, Runner] = {}
_SAID: set[str] = set()
