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


@pytest.fixture
def nvdec(gpu, monkeypatch: pytest.MonkeyPatch):
    """Let segrt see a GPU that decodes video."""
    from nvdec_double import FakeNvdec

    from segrt.runtime.decode.decoders import PROGRAMS
    from segrt.runtime.stream.sources import gpu_decoder

    for module in ("decode.decoding_place", "inference.cuda.kernels", "preprocess.cuda.slot_pictures"):
        files = ("antialias", "preprocess", "video", *PROGRAMS)
        monkeypatch.setattr(f"segrt.runtime.{module}.built_files", lambda files=files: files)
    monkeypatch.setattr(gpu_decoder, "why_no_gpu_decoder", lambda: None)
    monkeypatch.setattr(gpu_decoder, "open_cuda", lambda: gpu)
    monkeypatch.setattr(gpu_decoder, "_hardware_context", FakeNvdec)
    return gpu


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Return a clip of nine pictures with times that B-frames reorder."""
    from nvdec_double import write_clip

    path = tmp_path / "clip.mp4"
    write_clip(path)
    return path
