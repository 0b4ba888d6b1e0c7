"""`segrt export --precision`: a small network with a convolution, a normalisation and matrix products."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("onnxslim")
pytest.importorskip("transformers")

from segrt.export.family import Exportable, Model, ParityLimits, Request  # noqa: E402
from segrt.runtime import open_bundle  # noqa: E402
from segrt.runtime.bundle.locating import read_bundle  # noqa: E402
from segrt.runtime.bundle.manifest import Source  # noqa: E402
from segrt.runtime.cli import cli  # noqa: E402
from segrt.runtime.decode.argmax import Argmax  # noqa: E402
from segrt.runtime.preprocess.input_spec import Resize  # noqa: E402
from segrt.runtime.results import Label, SemanticResult  # noqa: E402

CLASSES = tuple(Label(f"class {index}", index, False, (index, 0, 0)) for index in range(4))


class Blocks(torch.nn.Module):
    """A patch embedding, attention over the patches, and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Conv2d(3, 16, 4, stride=4)
        self.norm = torch.nn.LayerNorm(16)
        self.mix = torch.nn.Linear(16, 16)
        self.head = torch.nn.Linear(16, 4)

    def forward(self, pixels: Any, mask: Any) -> Any:
        """Return logits at a quarter of the size; the mask darkens the padding."""
        features = self.embed(pixels * mask[:, None])
        batch, _, height, width = features.shape
        tokens = self.norm(features.flatten(2).transpose(1, 2))
        weights = torch.softmax(tokens @ tokens.transpose(1, 2) / 4, -1)
        tokens = tokens + torch.relu(self.mix(weights @ tokens))
        return 4 * self.head(tokens).transpose(1, 2).reshape(batch, 4, height, width)


def build(_: Request) -> Exportable:
    torch.manual_seed(1)
    network = Blocks().eval()

    def result(pixels: Any, mask: Any, geometry: Any) -> SemanticResult:
        logits = network(pixels, mask)
        whole = torch.nn.functional.interpolate(logits, geometry.source_size, mode="bilinear")
        return SemanticResult(whole[0].argmax(0).numpy().astype(np.uint8), CLASSES)

    return Exportable(
        core=network,
        heads=(("logits", "semantic_logits"),),
        labels=CLASSES,
        decode=Argmax(),
        source=Source("random", "Apache-2.0"),
        resize=Resize(antialias=True),
        framework_result=result,
        valid_mask=True,
        keep=("mix", "a module of other sizes"),
        limits=ParityLimits(agreement=0.95),
    )


def test_a_network_is_exported_at_every_precision(
    tmp_path: Path, calibration: Path, add_model: Callable[..., None]
) -> None:
    add_model(Model("blocks", "semantic", "blocks", (32, 48), "voc", multiple=4, parameters=1000), build)
    out = tmp_path / "bundle"
    arguments = ["export", "blocks", "--out", str(out), "--weights", "random", "--calibration", str(calibration)]
    checks = []
    try:
        import tensorrt_rtx  # noqa: F401

        checks = ["--check-tensorrt"]
    except ImportError:
        pass
    done = CliRunner().invoke(cli, [*arguments, "--precision", "fp32,fp16,int8", "--threads", "1", *checks])
    assert done.exit_code == 0, (done.output, done.exception)
    manifest = read_bundle(out).manifest
    fp32, fp16, int8 = manifest.variants
    assert (fp32.precision_share, fp32.weight_share) == (1.0, 1.0)
    assert fp16.head_dtypes == {"logits": "float16"}
    # The family's `mix` stays in float32, attention's own products are no layers with weights.
    assert 0.5 < fp16.precision_share < 1.0
    constants = onnx.load(out / fp16.file.path).graph.initializer
    assert [16, 16] in [list(tensor.dims) for tensor in constants if tensor.data_type == onnx.TensorProto.FLOAT]
    assert 0.1 < int8.precision_share < fp16.precision_share
    assert fp16.parity is not None
    assert fp16.parity.against == "fp32"
    assert f"fp16: {fp16.precision_share:.1%} of the multiply-adds" in done.output
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    with open_bundle(out, threads=1) as whole, open_bundle(out, precision="fp16", threads=1) as half:
        assert np.mean(whole(picture).class_map == half(picture).class_map) > 0.98
