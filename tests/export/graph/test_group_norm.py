"""GroupNorm over maps of hundreds of thousands of numbers is as exact in ONNX Runtime as in torch."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxslim")
pytest.importorskip("transformers")

import onnxruntime  # noqa: E402

from segrt.export.graph.tracing import _translations  # noqa: E402


def exported(network: Any, maps: Any) -> Any:
    program = torch.onnx.export(
        network, (maps,), dynamo=True, opset_version=18, custom_translation_table=_translations(), verbose=False
    )
    return program.model_proto


@pytest.mark.parametrize(("size", "rewritten"), [((160, 240), True), ((20, 20), False), ((48, 50), True)])
def test_large_maps_are_normed_exactly(size: tuple[int, int], rewritten: bool) -> None:
    network = torch.nn.GroupNorm(8, 64).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        network.weight.normal_(generator=generator)
        network.bias.normal_(generator=generator)
    maps = torch.relu(torch.randn(1, 64, *size, generator=generator)) * 2 + 1.5
    model = exported(network, maps)
    assert any(node.op_type == "InstanceNormalization" for node in model.graph.node) is not rewritten
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: maps.numpy()})
    with torch.no_grad():
        exact = network.double()(maps.double()).numpy()
    np.testing.assert_allclose(found, exact, atol=2e-5)
