"""Makes the emulated GPU importable, and gives each example the time that an emulator under sanitizers needs."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

HERE = Path(__file__).resolve().parent
SIMULATIONS = HERE.parent / "runtime" / "inference"
sys.path[:0] = [str(HERE), str(SIMULATIONS / "tensorrt"), str(SIMULATIONS / "onnxruntime_cuda")]

# Sanitizers look at each access, whatever the values: few examples show what they can show.
EXAMPLES = 4 if "-fsanitize" in os.environ.get("SEGRT_EMULATED_FLAGS", "") else 40
settings.register_profile("emulated", deadline=None, max_examples=EXAMPLES)
settings.load_profile("emulated")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch):
    """Let segrt see a GPU: ONNX Runtime's CUDA provider is simulated, kernels run in the emulator; return its CUDA."""
    from emulated_cuda import EmulatedCuda, emulated_kernels
    from simulated_provider import Simulation

    from segrt.runtime.inference.onnxruntime import cuda_provider, session_backend

    cuda = EmulatedCuda()
    cuda.kernels = emulated_kernels(cuda)
    monkeypatch.setitem(sys.modules, "onnxruntime", Simulation(cuda))
    cuda_provider.load_libraries.cache_clear()
    monkeypatch.setattr(session_backend, "open_cuda", lambda: cuda)
    return cuda
