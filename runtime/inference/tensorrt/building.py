"""Makes a plan of a parsed network: progress, interruption, and smaller workspaces when memory is short."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from segrt.runtime.errors import BackendError
from segrt.runtime.inference.engine_policy import BuildOptions, Progress
from segrt.runtime.inference.tensorrt.flavor import Flavor
from segrt.runtime.inference.tensorrt.messages import Messages, plain
from segrt.runtime.inference.tensorrt.parsing import Parsed, Refusal, refused_by_builder
from segrt.runtime.inference.tensorrt.rtx import set_targets, target_names

log = logging.getLogger("segrt.tensorrt")

_LEAST_WORKSPACE_MB = 16
_POLL_SECONDS = 0.05


class BuildError(BackendError):
    """TensorRT cannot make an engine of a network; `refusals` are the nodes that it names, which may be none."""

    def __init__(self, message: str, refusals: tuple[Refusal, ...] = ()) -> None:
        self.refusals = refusals
        super().__init__(message)


@dataclass(frozen=True, eq=False)
class Built:
    """A plan, as TensorRT gives it, and what is known about its making. `timing_cache` is empty where unsupported."""

    plan: memoryview
    workspace_mb: int
    timing_cache: bytes


def build(
    parsed: Parsed,
    options: BuildOptions,
    *,
    timing_cache: bytes = b"",
    progress: Progress | None = None,
    memory_mb: int = 0,
) -> Built:
    """Build a plan of `parsed`; `memory_mb` is the device's memory, 0 if unknown.

    The work runs in a thread of its own, so that Ctrl-C is noticed: the build is cancelled, and KeyboardInterrupt goes
    on when it has stopped. Raises BuildError with TensorRT's own reason, BackendError for options that the flavour
    or device lacks.
    """
    refuse_options(parsed.flavor, parsed.builder, options)
    for workspace in workspace_ladder(options.workspace_mb, memory_mb):
        with parsed.flavor.messages.fresh() as messages:
            config = _configure(parsed, options, workspace, timing_cache)
            plan = _build_in_thread(parsed, config, progress)
            if plan is not None:
                return Built(memoryview(plan), workspace, _timing_cache(parsed.flavor, config))
            if not ran_out_of_memory(messages):
                raise _failure(parsed, messages)
            log.warning(
                "%s: the build ran out of memory with %s of workspace; trying less",
                parsed.path.name,
                f"{workspace} MiB" if workspace else "TensorRT's own choice",
            )
            last = plain(messages.reason("out of memory"))
    raise BuildError(
        f"{parsed.path}: {parsed.flavor} has too little memory for the build, even with {_LEAST_WORKSPACE_MB} MiB of "
        f"workspace ({last}); close other programs, or build with --precision fp16"
    )


def workspace_ladder(workspace_mb: int, memory_mb: int) -> Iterator[int]:
    """Yield workspace limits in MiB, from the one that was asked for (0: TensorRT's own) down to 16 MiB."""
    yield workspace_mb
    limit = (workspace_mb or memory_mb or 8192) // 2
    while limit >= _LEAST_WORKSPACE_MB:
        yield limit
        limit //= 4


def ran_out_of_memory(messages: Messages) -> bool:
    """Whether an error says that memory is short."""
    signs = (
        "out of memory",
        "outofmemory",
        "insufficient memory",
        "memory allocation failed",
        "insufficient workspace",
    )
    return any(sign in text.lower() for text in messages.errors + messages.warnings for sign in signs)


def refuse_options(flavor: Flavor, builder: Any, options: BuildOptions) -> None:
    """Raise BackendError for an option that this flavour, version or device does not have."""
    if options.targets and not flavor.is_rtx:
        raise BackendError(f"targets: {flavor} builds for the GPU that it runs on; leave it out, or use tensorrt-rtx")
    if flavor.is_rtx:
        known = target_names(flavor)
        unknown = [sm for sm in options.targets if sm not in known]
        if unknown:
            raise BackendError(f"targets must be among {', '.join(known)} for {flavor}, but got {unknown[0]}")
        for name, value in (
            ("version-compatible", options.version_compatible),
            ("hardware-compatible", options.hardware_compatible != "none"),
        ):
            if value:
                raise BackendError(
                    f"{name}: engines of {flavor} run on every RTX GPU of their targets and hold for one version; "
                    "leave it out, or use tensorrt"
                )
    if options.dla_core is not None:
        cores = 0 if flavor.is_rtx else int(builder.num_DLA_cores)
        if options.dla_core >= cores:
            has = "has no DLA" if flavor.is_rtx else f"sees {cores} DLA cores on this device"
            raise BackendError(
                f"dla-core {options.dla_core}: {flavor} {has}; leave it out to run on the GPU "
                "(a DLA is part of Orin and Xavier, not of Orin Nano, Thor or desktop GPUs)"
            )


def _configure(parsed: Parsed, options: BuildOptions, workspace_mb: int, timing_cache: bytes) -> Any:
    api = parsed.flavor.api
    config = parsed.builder.create_builder_config()
    if workspace_mb:
        config.set_memory_pool_limit(api.MemoryPoolType.WORKSPACE, workspace_mb << 20)
    if options.optimization_level is not None:
        config.builder_optimization_level = options.optimization_level
    # TensorRT sets this flag by itself.
    (config.set_flag if options.tf32 else config.clear_flag)(api.BuilderFlag.TF32)
    if options.detailed:
        config.profiling_verbosity = api.ProfilingVerbosity.DETAILED
    if options.version_compatible:
        config.set_flag(api.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware_compatible != "none":
        level = "AMPERE_PLUS" if options.hardware_compatible == "ampere+" else "SAME_COMPUTE_CAPABILITY"
        if not hasattr(api.HardwareCompatibilityLevel, level):
            raise BackendError(f"hardware-compatible {options.hardware_compatible}: {parsed.flavor} does not have it")
        config.hardware_compatibility_level = getattr(api.HardwareCompatibilityLevel, level)
    if options.dla_core is not None:
        config.default_device_type = api.DeviceType.DLA
        config.DLA_core = options.dla_core
        config.set_flag(api.BuilderFlag.GPU_FALLBACK)
    if options.targets:
        set_targets(parsed.flavor, config, options.targets)
    if not parsed.flavor.is_rtx:  # in RTX the calls are there and do nothing
        cache = config.create_timing_cache(timing_cache)
        if not config.set_timing_cache(cache, False):
            config.set_timing_cache(config.create_timing_cache(b""), False)
    _add_profile(parsed, config, options.batch)
    return config


def _add_profile(parsed: Parsed, config: Any, batch: int) -> None:
    """Fix the batch of a network whose first dimension is open."""
    profile = None
    for index, spec in enumerate(parsed.inputs):
        if spec.is_fixed:
            continue
        open_axes = [axis for axis, dim in enumerate(spec.shape) if isinstance(dim, str)]
        if open_axes != [0]:
            raise BuildError(
                f"{parsed.path}: input {spec} has an open size; export it with a fixed one, only the batch may vary"
            )
        profile = profile or parsed.builder.create_optimization_profile()
        shape = (batch, *spec.shape[1:])
        profile.set_shape(parsed.network.get_input(index).name, shape, shape, shape)
    if profile is not None:
        config.add_optimization_profile(profile)


def _build_in_thread(parsed: Parsed, config: Any, progress: Progress | None) -> Any:
    cancelled = threading.Event()
    config.progress_monitor = monitor = make_monitor(parsed.flavor.api, cancelled, progress)
    outcome: list[Any] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(parsed.builder.build_serialized_network(parsed.network, config))
        except BaseException as error:  # handed to the thread that waits
            failure.append(error)

    thread = threading.Thread(target=work, name="segrt tensorrt build", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_POLL_SECONDS)
    except BaseException:
        cancelled.set()
        thread.join()  # TensorRT asks the monitor after every step
        raise
    del monitor
    if failure:
        raise failure[0]
    return outcome[0]


def make_monitor(api: Any, cancelled: threading.Event, progress: Progress | None) -> Any:
    """Return an `IProgressMonitor` that reports outermost phases and ends the build when `cancelled` is set."""
    lock = threading.Lock()
    phases: dict[str, list[int]] = {}

    class Monitor(api.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            api.IProgressMonitor.__init__(self)

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:  # noqa: ARG002 (TensorRT's signature)
            with lock:
                phases[name] = [0, max(1, steps)]
            if progress is not None:
                progress(name, 0, max(1, steps))

        def step_complete(self, name: str, step: int) -> bool:
            with lock:
                done, steps = phases.setdefault(name, [0, 1])
                phases[name][0] = done = max(done, step + 1)
            if progress is not None:
                progress(name, min(done, steps), steps)
            return not cancelled.is_set()

        def phase_finish(self, name: str) -> None:
            with lock:
                _, steps = phases.pop(name, [0, 1])
            if progress is not None:
                progress(name, steps, steps)

    return Monitor()


def _failure(parsed: Parsed, messages: Messages) -> BuildError:
    named = [(text, refused_by_builder(parsed, text)) for text in messages.errors]
    reason, refusals = next(
        ((text, nodes) for text, nodes in named if nodes), (messages.reason("TensorRT gives no reason"), ())
    )
    return BuildError(f"{parsed.path}: {parsed.flavor} cannot build an engine: {plain(reason)}", refusals)


def _timing_cache(flavor: Flavor, config: Any) -> bytes:
    if flavor.is_rtx:
        return b""
    cache = config.get_timing_cache()
    return bytes(cache.serialize()) if cache is not None else b""
