"""Opens a bundle on the simulated provider, and says whether what it gives is right."""

import sys
from typing import Any

import numpy as np
import pytest
from simulated_gpu import FakeCuda
from simulated_provider import Simulation

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.network_files import tensor_specs
from segrt.runtime.errors import BackendError
from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.onnxruntime import OnnxRuntimeBackend, cuda_provider, run_file, session_backend

NO_PACKAGE = "neither cuda-python nor pycuda is installed, so the GPU cannot be used; pip install 'segrt[gpu]'"


def put_in_place(monkeypatch: pytest.MonkeyPatch, cuda: FakeCuda | None) -> Simulation:
    """Let segrt import the simulation, and see `cuda`, or no package for CUDA."""
    made = Simulation(cuda)
    monkeypatch.setitem(sys.modules, "onnxruntime", made)  # type: ignore[arg-type]
    cuda_provider.load_libraries.cache_clear()

    def open_cuda() -> FakeCuda:
        if cuda is None:
            raise BackendError(NO_PACKAGE)
        return cuda

    monkeypatch.setattr(session_backend, "open_cuda", open_cuda)
    return made


def opened(bundle: Bundle, **options: Any) -> OnnxRuntimeBackend:
    return OnnxRuntimeBackend(
        bundle.network(bundle.variant()), *tensor_specs(bundle.manifest, bundle.variant()), threads=1, **options
    )


def picture(bundle: Bundle, seed: int) -> dict[str, np.ndarray]:
    (spec,) = bundle.manifest.inputs
    return {spec.name: np.random.default_rng(seed).integers(0, 256, spec.shape, np.uint8)}


def assert_right(bundle: Bundle, backend: Backend, seed: int) -> None:
    inputs = picture(bundle, seed)
    wanted = run_file(bundle.network(bundle.variant()), inputs, threads=1)
    for name, head in backend.run(inputs).items():
        np.testing.assert_array_equal(head, wanted[name])
