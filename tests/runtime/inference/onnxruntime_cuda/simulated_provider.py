"""ONNX Runtime with a CUDA provider that is none: the network is executed on the CPU, memory is `simulated_gpu`'s.

What it repeats of the real one, as its sources have it: an input on the host is copied when it is bound
(`IOBinding::BindInput`); an address on the GPU is read when the network runs; work goes into `user_compute_stream`, and
a run ends with that stream synchronised unless its options say otherwise; a recorded graph belongs to the thread that
recorded it, keeps the addresses, and is refused for control flow and for nodes on the CPU; an option that the release
does not know is an error. It shows nothing about CUDA itself; for that there is tests/gpu.
"""

# ruff: noqa: D101, D102 (what the fakes' methods do is in ONNX Runtime's documentation)

import ctypes
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime as real
from simulated_gpu import FakeCuda

CUDA = "CUDAExecutionProvider"
OPTIONS = {
    "device_id", "use_tf32", "cudnn_conv_algo_search", "prefer_nhwc", "user_compute_stream", "enable_cuda_graph",
}  # fmt: skip


class Simulation:
    """The module `onnxruntime` as the code under test imports it; the attributes say how it behaves.

    known: provider options of the release. loads: whether the provider's libraries are there. cpu_nodes: whether a node
    of the network has no kernel for CUDA, layout_adds_cpu_nodes: whether channels last adds one. fail: what raises its
    text, "open", "run" or "capture".
    """

    __version__ = real.__version__
    SessionOptions = real.SessionOptions
    GraphOptimizationLevel = real.GraphOptimizationLevel

    def __init__(self, cuda: FakeCuda | None) -> None:
        self.cuda = cuda
        self.known = set(OPTIONS)
        self.loads, self.cpu_nodes, self.layout_adds_cpu_nodes = True, False, False
        self.fail: dict[str, str] = {}
        self.sessions: list[Session] = []
        self.preloads = 0
        self.severity = 2

    def get_available_providers(self) -> list[str]:
        return [CUDA, "CPUExecutionProvider"]

    def set_default_logger_severity(self, level: int) -> None:
        self.severity = level

    def preload_dlls(self) -> None:
        self.preloads += 1
        print("Failed to load libcublasLt.so.13")

    def RunOptions(self) -> Any:  # noqa: N802 (the real name)
        return RunOptions()

    def InferenceSession(self, network: Any, options: Any, providers: Any, **more: Any) -> "Session":  # noqa: N802
        session = Session(self, network, options, providers, more)
        self.sessions.append(session)
        return session

    @property
    def on_cuda(self) -> "list[Session]":
        return [session for session in self.sessions if session.provider_options is not None]


class RunOptions:
    def __init__(self) -> None:
        self.real, self.entries = real.RunOptions(), {}

    def add_run_config_entry(self, name: str, value: str) -> None:
        self.entries[name] = value

    @property
    def terminate(self) -> bool:
        return bool(self.real.terminate)

    @terminate.setter
    def terminate(self, value: bool) -> None:
        self.real.terminate = value


class Session:
    def __init__(self, simulation: Simulation, network: Any, options: Any, providers: Any, more: Any) -> None:
        self.simulation, self._model_bytes = simulation, network
        wanted = [(one, {}) if isinstance(one, str) else one for one in providers]
        told = dict(wanted).get(CUDA) if simulation.loads else None
        self.provider_options: dict[str, str] | None = told
        if told is not None:
            unknown = [name for name in told if name not in simulation.known]
            if unknown:
                message = f'[ONNXRuntimeError] : 1 : FAIL : Parse Unknown provider option: "{unknown[0]}".'
                self._refuse(RuntimeError(message), more)
            if "open" in simulation.fail:
                self._refuse(RuntimeError(simulation.fail["open"]), more)
            cpu_nodes = simulation.cpu_nodes or (simulation.layout_adds_cpu_nodes and told.get("prefer_nhwc") == "1")
            if told.get("enable_cuda_graph") == "1" and (cpu_nodes or self._has_control_flow(network)):
                reason = "This session cannot use the graph capture feature as requested by the user"
                self._refuse(RuntimeError(reason), more)
        self.inner = real.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        self.graphs: dict[int, Any] = {}
        self.runs: list[dict[str, str]] = []

    def _refuse(self, error: Exception, more: Any) -> None:
        """As the real one: to the CPU with words on standard output, unless that was forbidden."""
        if int(more.get("enable_fallback", 1)) != 1:
            raise error
        print("*************** EP Error ***************")
        self.provider_options = None

    def _has_control_flow(self, network: Any) -> bool:
        import onnx

        model = onnx.load(network) if isinstance(network, str) else onnx.load_from_string(network)
        return any(node.op_type in ("If", "Loop", "Scan") for node in model.graph.node)

    def disable_fallback(self) -> None:
        self.inner.disable_fallback()

    def get_providers(self) -> list[str]:
        return [CUDA, "CPUExecutionProvider"] if self.provider_options is not None else ["CPUExecutionProvider"]

    def get_inputs(self) -> Any:
        return self.inner.get_inputs()

    def get_outputs(self) -> Any:
        return self.inner.get_outputs()

    def end_profiling(self) -> str:
        return str(self.inner.end_profiling())

    def run(self, names: Any, feeds: Any, options: Any = None) -> Any:
        return self.inner.run(names, feeds, getattr(options, "real", None))

    def io_binding(self) -> "Binding":
        return Binding(self)

    def run_with_iobinding(self, binding: "Binding", options: RunOptions) -> None:
        simulation, told = self.simulation, self.provider_options
        if "run" in simulation.fail:
            raise RuntimeError(simulation.fail["run"])
        self.runs.append({key: value for key, value in options.entries.items() if key != "gpu_graph_id"})
        if told is None:
            return binding.execute(options)
        handle = int(told.get("user_compute_stream", 0))
        stream = simulation.cuda.streams[handle] if handle and simulation.cuda else None
        work = binding.execute
        if told.get("enable_cuda_graph") == "1":
            thread = threading.get_ident()
            if thread not in self.graphs:
                if "capture" in simulation.fail:
                    raise RuntimeError(simulation.fail["capture"])
                self.graphs[thread] = binding.frozen()
            work = self.graphs[thread].execute
        if stream is None:
            return work(options)
        stream.put("compute", lambda: work(options))
        if options.entries.get("disable_synchronize_execution_providers") != "1" or self._outputs_by_name(binding):
            stream.synchronize()
        return None

    def _outputs_by_name(self, binding: "Binding") -> bool:
        return any(address is None for _, address, _, _ in binding.outputs.values())


class Binding:
    """inputs: name → array, or (address, dtype, shape) on the GPU. outputs: name → (device, address, dtype, shape)."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.inputs: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}
        self.values: dict[str, Any] = {}

    def frozen(self) -> "Binding":
        kept = Binding(self.session)
        kept.inputs, kept.outputs, kept.values = dict(self.inputs), dict(self.outputs), self.values
        return kept

    def bind_input(self, name: str, device: str, number: int, dtype: Any, shape: Any, address: int) -> None:
        assert number == 0
        place = (address, np.dtype(dtype), tuple(shape))
        on_gpu = self.session.provider_options is not None
        assert device == "cpu" or on_gpu, "an address on the GPU for a session without one"
        # The copy that a binding makes, for a session on the GPU; a session on the CPU reads in place.
        self.inputs[name] = _at(*place) if device == "cpu" and on_gpu else place

    def bind_output(
        self, name: str, device: str = "cpu", number: int = 0, dtype: Any = None, shape: Any = None, address: Any = None
    ) -> None:
        assert number == 0
        self.outputs[name] = (device, address, dtype, shape)

    def execute(self, options: RunOptions) -> None:
        feeds = {name: held if isinstance(held, np.ndarray) else _at(*held) for name, held in self.inputs.items()}
        names = list(self.outputs)
        for name, result in zip(names, self.session.inner.run(names, feeds, options.real), strict=True):
            address = self.outputs[name][1]
            if address is None:
                self.values[name] = result
            else:
                assert tuple(self.outputs[name][3]) == result.shape
                ctypes.memmove(address, np.ascontiguousarray(result).ctypes.data, result.nbytes)

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(numpy=lambda name=name: self.values[name].copy()) for name in self.outputs]


def _at(address: int, dtype: Any, shape: tuple[int, ...]) -> Any:
    size = int(np.prod(shape)) * dtype.itemsize
    memory = (ctypes.c_uint8 * size).from_address(address)
    return np.ctypeslib.as_array(memory).view(dtype).reshape(shape).copy()
