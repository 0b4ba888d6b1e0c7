"""What TensorRT-RTX alone has: targets of a build, the cache of kernels that it compiles on the device, own graphs.

No other module names these calls, so that a check of names against plain TensorRT covers all the others.
"""

from collections.abc import Sequence
from typing import Any

from segrt.runtime.inference.tensorrt.flavor import Flavor


def target_names(flavor: Flavor) -> tuple[str, ...]:
    """Return the compute capabilities that this TensorRT-RTX builds for, "8.6" for instance."""
    names = [name[2:] for name in flavor.api.ComputeCapability.__members__ if name.startswith("SM")]
    return tuple(f"{name[:-1]}.{name[-1]}" for name in names)


def set_targets(flavor: Flavor, config: Any, targets: Sequence[str]) -> None:
    """Let the builder's `config` build for compute capabilities out of `target_names`."""
    config.num_compute_capabilities = len(targets)
    for index, sm in enumerate(targets):
        config.set_compute_capability(getattr(flavor.api.ComputeCapability, f"SM{sm.replace('.', '')}"), index)


class RtxRuntime:
    """Makes the execution contexts of one engine: with a shared cache of compiled kernels, and graphs of its own.

    `cache` is what `serialized` returned in an earlier process on this device, empty for none; TensorRT-RTX checks
    whether it fits.
    """

    def __init__(self, flavor: Flavor, engine: Any, cache: bytes = b"") -> None:
        self._engine = engine
        self._config = runtime_config = engine.create_runtime_config()
        runtime_config.cuda_graph_strategy = flavor.api.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        self._cache = runtime_config.create_runtime_cache()
        self.had_cache = bool(cache) and bool(self._cache.deserialize(cache))
        runtime_config.set_runtime_cache(self._cache)

    def context(self, *, graphs: bool = True) -> Any:
        """Return a new execution context, None when TensorRT-RTX cannot make one.

        Without `graphs` it executes layer by layer, as a profiler of layers needs it.
        """
        return self._engine.create_execution_context(*((self._config,) if graphs else ()))

    def serialized(self) -> bytes:
        """Return the cache for the next process."""
        return bytes(self._cache.serialize())
