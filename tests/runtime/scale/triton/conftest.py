"""A model repository of street models and tiny ones, and a server that all tests share."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "cli"))

from triton_server import TritonServer, why_not

from segrt.runtime.bundle.locating import embedded_names, read_bundle
from segrt.runtime.scale.triton.repository import export_model
from segrt.runtime.scale.triton.serving_options import ServingOptions

STREETS = ("street-semantic", "street-instance", "street-panoptic")
_FOREIGN = """
import triton_python_backend_utils as backend
class TritonPythonModel:
    def execute(self, requests):
        return [backend.InferenceResponse(error=backend.TritonError("none of segrt")) for _ in requests]
"""


@pytest.fixture(scope="session")
def batched(tiny_once: SimpleNamespace) -> Path:
    """A tiny semantic bundle that takes any batch."""
    return Path(tiny_once.batched_semantic())


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, batched: Path) -> Iterator[TritonServer]:
    """The street models; `batched`, up to 8 at once; `narrow`, where one waits; `foreign` and `older`, no models."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    if not set(STREETS) <= set(embedded_names()):
        pytest.skip("the embedded bundles are not here")
    work = tmp_path_factory.mktemp("triton")
    repository = work / "models"
    for name in STREETS:
        export_model(read_bundle(name), repository, ServingOptions(threads=1, instances=1))
    bundle = read_bundle(batched)
    export_model(bundle, repository, ServingOptions(name="batched", batch=8, queue_delay=0.05, threads=1, instances=1))
    export_model(bundle, repository, ServingOptions(name="narrow", batch=1, queue=1, threads=1, instances=1))
    for name in ("foreign", "older"):
        export_model(bundle, repository, ServingOptions(name=name, instances=1))
        (repository / name / "1" / "model.py").write_text(_FOREIGN)
        config = repository / name / "config.pbtxt"
        text = config.read_text()
        warmup = text[text.index("model_warmup") : text.index("parameters")]
        text = text.replace(warmup, "")
        if name == "foreign":
            text = text[: text.index("parameters")]
        config.write_text(text.replace('"0.1.0"', '"0.0.9"'))
    with TritonServer(repository, work) as running:
        yield running
