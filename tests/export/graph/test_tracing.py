"""The traced graph takes bytes, a mask and batches, and its nodes carry the names of torch's modules."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxslim")
pytest.importorskip("transformers")

from tiny_family import SIZE, tiny  # noqa: E402

from segrt.export.convert import parity  # noqa: E402
from segrt.export.graph.tracing import Traced, trace  # noqa: E402
from segrt.export.synthetic_pictures import synthetic_picture  # noqa: E402
from segrt.runtime.inference.layers.module_names import read_nodes  # noqa: E402
from segrt.runtime.inference.onnxruntime import run_file  # noqa: E402


def test_a_valid_mask_and_bgr_reach_the_core(tmp_path: Path) -> None:
    exportable = tiny(valid_mask=True, color="bgr", mean=(0.1, 0.2, 0.3))
    masked = trace(exportable, SIZE, tmp_path / "x.onnx", "tiny")
    assert [(spec.name, spec.role, spec.dtype) for spec in masked.inputs] == [
        ("image", "image", "uint8"),
        ("valid_mask", "valid_mask", "bool"),
    ]
    assert masked.inputs[0].color == "rgb"
    report, _ = parity.compare(masked, exportable, parity.synthetic_pictures(), threads=1)
    assert report.passed
    image = torch.zeros((1, *SIZE, 3), dtype=torch.uint8)
    image[..., 2] = 255  # blue of RGB is the first channel of BGR
    pixels = masked.network.pixels(image)[0, :, 0, 0]
    np.testing.assert_allclose(pixels, [(1 - 0.1) / 0.229, -0.2 / 0.224, -0.3 / 0.225], rtol=1e-5)
    covered = run_file(masked.path, {"image": image.numpy() + 255, "valid_mask": np.zeros((1, *SIZE), bool)})
    empty = exportable.core(torch.zeros(1, 3, *SIZE))
    np.testing.assert_allclose(covered["logits"], empty.detach(), atol=1e-4)


def test_a_dynamic_batch_gives_each_picture_what_it_gets_alone(tmp_path: Path) -> None:
    batched = trace(tiny(), SIZE, tmp_path / "x.onnx", "tiny", dynamic_batch=True)
    assert batched.inputs[0].shape == ("N", *SIZE, 3)
    assert batched.heads[0].shape == ("N", 5, 16, 24)
    batch = np.stack([synthetic_picture(seed, SIZE) for seed in range(3)])
    together = run_file(batched.path, {"image": batch})["logits"]
    for index in range(3):
        alone = run_file(batched.path, {"image": batch[index : index + 1]})["logits"]
        np.testing.assert_allclose(together[index], alone[0], atol=1e-4)


def test_nodes_and_weights_are_named_after_torchs_modules(traced: Traced) -> None:
    import onnx

    graph = onnx.load(str(traced.path)).graph
    assert {"stem.1/Conv", "body/Conv", "head/Conv"} <= {node.name for node in graph.node}
    assert {"body.weight", "head.bias"} <= {tensor.name for tensor in graph.initializer}
    assert {node.name: node.module for node in read_nodes(traced.path)}["head/Conv"] == "head"
