"""Turns a plan into an engine on this GPU."""

from typing import Any

from segrt.runtime.errors import BackendError
from segrt.runtime.inference.tensorrt.engine_cache import Engine
from segrt.runtime.inference.tensorrt.flavor import Flavor
from segrt.runtime.inference.tensorrt.messages import plain
from segrt.runtime.inference.tensorrt.parsing import dtype_name
from segrt.runtime.inference.tensors import TensorSpec


class LoadedEngine:
    """An engine in the GPU's memory, with the runtime that owns it; `close` lets both go, in this order."""

    def __init__(self, engine: Engine, flavor: Flavor) -> None:
        self.path, self.flavor = engine.path, flavor
        with flavor.messages.fresh() as messages:
            self._runtime: Any = flavor.api.Runtime(flavor.logger)
            if engine.record.options.version_compatible:
                self._runtime.engine_host_code_allowed = True  # such a plan brings a runtime of its own along
            self.engine: Any = self._runtime.deserialize_cuda_engine(engine.plan)
            if self.engine is None:
                reason = plain(messages.reason("TensorRT gives no reason"))
                raise BackendError(
                    f"{engine.path}: {flavor} cannot load the engine ({reason}); "
                    "remove the file to have it built anew, `segrt doctor` says more"
                )

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Name, dtype and shape of each input."""
        return self._specs(self.flavor.api.TensorIOMode.INPUT)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Name, dtype and shape of each output."""
        return self._specs(self.flavor.api.TensorIOMode.OUTPUT)

    def describe(self) -> str:
        """Return the engine inspector's JSON."""
        inspector = self.engine.create_engine_inspector()
        return str(inspector.get_engine_information(self.flavor.api.LayerInformationFormat.JSON))

    def close(self) -> None:
        """Free the engine; its contexts must be gone."""
        self.engine = None
        self._runtime = None

    def _specs(self, mode: Any) -> tuple[TensorSpec, ...]:
        engine = self.engine
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        return tuple(
            TensorSpec(
                name,
                dtype_name(engine.get_tensor_dtype(name)),
                tuple(int(dim) if dim >= 0 else f"dim{axis}" for axis, dim in enumerate(engine.get_tensor_shape(name))),
            )
            for name in names
            if engine.get_tensor_mode(name) == mode
        )
