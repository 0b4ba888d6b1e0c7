"""One check for all families: export with random weights at a small size, and hold the bundle to its promises.

from harness import check_export

def test_lraspp_equals_torchvision(tmp_path, photos):
    check_export("lraspp_mobilenet_v3_large", tmp_path, photos, size=(128, 160))
"""

import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")
pytest.importorskip("transformers")

from segrt.export.convert.exporting import ExportOptions, export_model  # noqa: E402
from segrt.export.convert.parity import ParityReport  # noqa: E402
from segrt.export.family import Weights  # noqa: E402
from segrt.export.graph.tensorrt_check import check_tensorrt  # noqa: E402
from segrt.export.models.verified_exports import Verified, write_records  # noqa: E402
from segrt.runtime import open_bundle  # noqa: E402
from segrt.runtime.bundle.locating import read_bundle  # noqa: E402
from segrt.runtime.bundle.manifest import Manifest  # noqa: E402
from segrt.runtime.files.images import read_image  # noqa: E402
from segrt.runtime.results import Result  # noqa: E402

# Each export takes a quarter of a minute and more: beside a test of the same family that always runs, others wait.
EVERY = pytest.mark.skipif("SEGRT_EVERY_FAMILY" not in os.environ, reason="tried by `make families`")


@dataclass(frozen=True)
class Checked:
    """The bundle, what it says, how it compared with the framework, and its results for the photos."""

    bundle: Path
    manifest: Manifest
    report: ParityReport
    results: tuple[Result, ...]


def check_export(
    name: str,
    tmp_path: Path,
    photos: Path,
    *,
    size: tuple[int, int],
    overrides: Mapping[str, Any] | None = None,
    top_queries: int | None = None,
    dynamic_batch: bool = False,
    labels: str | None = None,
    weights: Weights | None = None,
    least_objects: int = 2,
    engine: bool = True,
) -> Checked:
    """Export `name` with random weights for pictures of `size`, with the photos as parity pictures, and check it.

    The export itself compares heads, results and inputs with the framework over the photos and raises outside the
    family's limits. Then it must hold that the results are not degenerate (`least_objects` classes, segments or sure
    objects in every photo), that the graph is what the design asks for, and that TensorRT-RTX builds it
    (`engine=False` leaves that out, for a second test of the same graph).
    """
    options = ExportOptions(
        weights or Weights("random"),
        size=size,
        labels=labels,
        top_queries=top_queries,
        dynamic_batch=dynamic_batch,
        parity_images=photos,
        threads=1,
        overrides=overrides or {},
    )
    done = export_model(name, tmp_path / name, options)
    assert min(done.report.objects) >= least_objects, f"degenerate results: {done.report.objects} objects in the photos"
    manifest = read_bundle(done.bundle).manifest
    _check_manifest(manifest, done.report)
    _check_graph(done.bundle / "model.fp32.onnx", manifest)
    if engine:
        check_engine(done.bundle / "model.fp32.onnx")
    if os.environ.get("SEGRT_VERIFIED"):
        record(name, manifest, size, Path(os.environ["SEGRT_VERIFIED"]), whole=not overrides, engine=engine)
    with open_bundle(done.bundle, threads=1) as segmenter:
        results = tuple(segmenter(read_image(path)) for path in sorted(photos.iterdir()))
    return Checked(done.bundle, manifest, done.report, results)


def check_engine(path: Path) -> None:
    """Hold the ONNX file at `path` to TensorRT-RTX's own builder; skips where that is not installed."""
    if find_spec("tensorrt_rtx") is None:
        pytest.skip("tensorrt-rtx is not installed, so no engine was built")
    checked = check_tensorrt(path, flavor="tensorrt-rtx")
    assert checked.built, checked.reason
    assert checked.plan_bytes > 0


def record(name: str, manifest: Manifest, size: tuple[int, int], path: Path, *, whole: bool, engine: bool) -> None:
    """Note in the file at `path` that the model `name` held its limits, unless an engine was built of it before.

    Tests in several processes may note at once. A folder of somebody's weights is no model that others could look up.
    """
    if Path(name.partition(":")[2]).is_absolute():
        return
    parity = manifest.variants[0].parity
    assert parity is not None
    runtimes = {"onnxruntime": version("onnxruntime")}
    if engine and find_spec("tensorrt_rtx") is not None:
        runtimes["tensorrt-rtx"] = version("tensorrt-rtx")
    weights = "random" if manifest.source.weights.startswith("random") else "random, from a file"
    entry = Verified(weights, size, whole, parity.agreement, runtimes, manifest.source.versions)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, Verified]) if path.is_file() else {}
        if engine or name not in found:
            write_records(path, found | {name: entry})


def _check_manifest(manifest: Manifest, report: ParityReport) -> None:
    parity = manifest.variants[0].parity
    assert parity is not None
    assert parity == report.parity
    assert parity.images >= 3
    assert set(parity.heads) == {head.name for head in manifest.heads}
    assert manifest.golden
    assert manifest.image_input.dtype == "uint8"
    assert manifest.image_input.layout == "NHWC"


def _check_graph(path: Path, manifest: Manifest) -> None:
    """The graph begins with Cast, Transpose and normalising, is opset 18 or later, and holds no local path."""
    model = onnx.load(str(path))
    assert max(entry.version for entry in model.opset_import if entry.domain == "") >= 18
    reader = manifest.image_input.name
    for operator in ("Cast", "Transpose"):
        node = next(node for node in model.graph.node if reader in node.input and node.op_type != "Shape")
        assert node.op_type == operator
        reader = node.output[0]
    assert b"site-packages" not in path.read_bytes()
    named = [node for node in model.graph.node if "/" in node.name]
    assert len(named) > len(model.graph.node) // 2, "most nodes are named after the torch module they come from"
