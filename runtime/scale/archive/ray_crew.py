"""Workers as actors of a Ray cluster: where they run, and that they come up again elsewhere, is Ray's business."""

import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from segrt.runtime.errors import SegrtError, one_line
from segrt.runtime.files.uri import redact
from segrt.runtime.scale.archive.archive_job import ArchiveJob, FailedOutcome, LostOutcome
from segrt.runtime.scale.archive.clip_worker import ClipWorker, Task
from segrt.runtime.scale.archive.crew import Finished

_CLUSTERS = (
    "begin one with `ray start --head`, give its address, with its RAY_AUTH_TOKEN in the environment where it has one, "
    "or give --address local"
)
_AGAIN_SECONDS = 0.3
_CONNECT_SECONDS = 5.0
_MOST_STARTS = 3  # that may fail one after the other, before the cluster's Python is to blame


@dataclass(frozen=True)
class ClusterPlace:
    """Which cluster, and what each worker takes of it: CPUs, and a share of a GPU (0: none).

    address: "local" begins one on this device, "auto" joins the one that runs here, else HOST:PORT or ray://HOST:PORT.
    workers: how many; None takes as many as the cluster has room for.
    """

    address: str
    workers: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0


@dataclass(eq=False)
class _Actor:
    """One actor: the reference that is waited for is the task's, or while it comes up, that of its greeting."""

    handle: Any
    waiting_for: Any = None
    task: Task | None = None
    is_up: bool = False
    node: str = ""
    failed_starts: int = 0
    greet_at: float = 0.0


class RayCrew:
    """Actors, each with its own segmenter. Raises SegrtError where Ray, the cluster or room in it is missing."""

    def __init__(self, job: ArchiveJob, place: ClusterPlace) -> None:
        self._ray = ray = _ray()
        self._begun = _connected(ray, place)
        try:
            count = _room(ray, place)
            kind = ray.remote(
                num_cpus=place.cpus, num_gpus=place.gpus, max_restarts=-1, max_task_retries=0, max_concurrency=1
            )(ActorWorker)
            self._actors = [_Actor(kind.remote(job)) for _ in range(count)]
            for actor in self._actors:
                self._greet(actor)
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """How many actors there are when all are up."""
        return len(self._actors)

    @property
    def idle(self) -> int:
        """How many are up and wait for a task."""
        return sum(actor.is_up and actor.task is None for actor in self._actors)

    @property
    def busy(self) -> int:
        """How many have a task."""
        return sum(actor.task is not None for actor in self._actors)

    def give(self, task: Task) -> None:
        """Hand a task to one that is idle."""
        actor = next(actor for actor in self._actors if actor.is_up and actor.task is None)
        actor.task = task
        actor.waiting_for = actor.handle.do.remote(task)

    def wait(self, seconds: float) -> list[Finished]:
        """Return what was finished or lost, as soon as there is something, after `seconds` at most."""
        self._greet_those_due()
        waiting = {actor.waiting_for: actor for actor in self._actors if actor.waiting_for is not None}
        finished: list[Finished] = []
        if not waiting:
            time.sleep(min(seconds, _AGAIN_SECONDS))
            return finished
        try:
            ready, _ = self._ray.wait(list(waiting), num_returns=1, timeout=seconds)
            if ready:
                ready, _ = self._ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
            for reference in ready:
                actor = waiting[reference]
                actor.waiting_for = None
                if actor.task is None:
                    self._came_up(actor, reference)
                else:
                    finished.append(self._finished(actor, reference))
        except (self._ray.exceptions.RaySystemError, ConnectionError) as error:
            raise SegrtError(
                f"--address: the cluster is gone ({one_line(error)}); run the command again, what is written stays"
            ) from None
        return finished

    def close(self) -> None:
        """End all actors at once, and a cluster that was begun here."""
        for actor in getattr(self, "_actors", ()):
            with suppress(Exception):
                self._ray.kill(actor.handle, no_restart=True)
        self._actors = []
        if self._begun:
            self._ray.shutdown()

    def _greet(self, actor: _Actor, after: float = 0.0) -> None:
        """Ask an actor in a moment whether it is up: of one that comes up elsewhere Ray says at once that it is not."""
        actor.is_up, actor.greet_at = False, time.monotonic() + after

    def _greet_those_due(self) -> None:
        for actor in self._actors:
            if not actor.is_up and actor.waiting_for is None and time.monotonic() >= actor.greet_at:
                actor.waiting_for = actor.handle.greet.remote()

    def _came_up(self, actor: _Actor, reference: Any) -> None:
        try:
            actor.node, trouble = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            actor.failed_starts += not isinstance(error, self._ray.exceptions.ActorUnavailableError)
            if actor.failed_starts >= _MOST_STARTS:
                raise SegrtError(
                    f"--address: workers cannot start ({_last_line(error)}); install the same segrt, with "
                    "`segrt[ray]`, on every node"
                ) from None
            self._greet(actor, _AGAIN_SECONDS)
            return
        if trouble is not None:
            raise SegrtError(f"--address: {trouble}")
        actor.is_up, actor.failed_starts = True, 0

    def _finished(self, actor: _Actor, reference: Any) -> Finished:
        task, actor.task = actor.task, None
        assert task is not None
        exceptions = self._ray.exceptions
        try:
            return Finished(task, self._ray.get(reference))
        except exceptions.RayTaskError as error:  # it is up, but could not even begin
            return Finished(task, FailedOutcome(f"{task.name}: {_last_line(error)}; please report it", "error"))
        except exceptions.RayError as error:
            node_is_gone = actor.node not in _nodes(self._ray)
            self._greet(actor, _AGAIN_SECONDS)
            what = "was lost with its node" if node_is_gone else f"ended ({_last_line(error)})"
            return Finished(task, LostOutcome(f"its worker {what}", blamed=not node_is_gone))


class ActorWorker:
    """The worker as Ray has it: in a process of its own, somewhere."""

    def __init__(self, job: ArchiveJob) -> None:
        self._worker = ClipWorker(job)

    def greet(self) -> tuple[str, str | None]:
        """Return the node's id, and why this process cannot take part."""
        return _ray().get_runtime_context().get_node_id(), self._worker.trouble()

    def do(self, task: Task) -> Any:
        """Do a task, as `ClipWorker.do`."""
        return self._worker.do(task)


def check_ray() -> None:
    """Raise SegrtError, saying what to install, where Ray is not here."""
    _ray()


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise SegrtError("--address needs ray; `pip install 'segrt[ray]'`, or give --workers alone") from None
    return ray


def _connected(ray: Any, place: ClusterPlace) -> bool:
    """Connect, or begin a cluster; return whether it is ours to end. One that this process has joined is used as is."""
    # Actors without a share of a GPU are to see none, as Ray will have it in future; it warns where that is not said.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    _quieted(ray)
    if ray.is_initialized():
        return False
    _check_reachable(place.address)
    how: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    if place.address == "local":
        how |= {"include_dashboard": False}
        if place.workers is not None:
            how |= {"num_cpus": max(1, round(place.workers * place.cpus))}
    try:
        ray.init(address=place.address, **how)
    except Exception as error:  # of many kinds: no cluster, a wrong port, another version of Ray or of Python
        raise SegrtError(f"--address {redact(place.address)}: {_last_line(error)}; {_CLUSTERS}") from None
    return True


def _check_reachable(address: str) -> None:
    """Raise SegrtError where no server of gRPC, as Ray's are, answers at HOST:PORT; Ray goes on asking for minutes."""
    place = address.rpartition("://")[2].partition("/")[0]
    host, colon, port = place.rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
        _greet_grpc(place)
    except (OSError, ValueError, OverflowError) as error:
        why = getattr(error, "strerror", None) or one_line(error)
        raise SegrtError(f"--address {redact(address)}: no cluster answers there ({why}); {_CLUSTERS}") from None


def _greet_grpc(place: str) -> None:
    try:
        import grpc
    except ImportError:  # without Ray's client; then whoever listens there is taken for a cluster
        return
    with grpc.insecure_channel(place) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=_CONNECT_SECONDS)
        except grpc.FutureTimeoutError:
            raise OSError("what listens there is no Ray") from None


def _quieted(ray: Any) -> None:
    """Keep off standard output what Ray prints there, pages long, of workers and nodes that were lost: we say it."""
    worker = getattr(ray._private, "worker", None)
    if worker is not None and hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_, **__: None


def _room(ray: Any, place: ClusterPlace) -> int:
    """Return how many workers to begin; raise SegrtError where not one has room."""
    has = ray.cluster_resources()
    fits = [has.get("CPU", 0.0) / place.cpus] if place.cpus else []
    fits += [has.get("GPU", 0.0) / place.gpus] if place.gpus else []
    most = int(min(fits, default=1.0) + 1e-6)
    if most < 1:
        raise SegrtError(
            f"--address {redact(place.address)}: a worker needs {place.cpus:g} CPUs and {place.gpus:g} GPUs, the "
            f"cluster has {has.get('CPU', 0.0):g} and {has.get('GPU', 0.0):g}; give a smaller --gpus-per-worker or "
            "--threads"
        )
    return most if place.workers is None else place.workers  # those without room wait for a node that joins


def _nodes(ray: Any) -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def _last_line(error: BaseException) -> str:
    """Return the last line of what Ray says, which is what happened; those above say where."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
