"""GroupNorm over maps of hundreds of thousands of numbers is as exact in ONNX Runtime as in torch."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxslim")
pytest.importorskip("transformers")

import onnxruntime  # noqa: E402

from segrt.export.graph.group_norm import exact_group_norm  # noqa: E402
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


def test_torch_is_as_exact_where_heads_are_compared_with_it() -> None:
    """A map that is nearly flat: torch's own float32 is further from the exact norm than the exported one may be."""
    network = torch.nn.GroupNorm(32, 256).eval()
    maps = torch.full((1, 256, 200, 272), 3.0) + 1e-3 * torch.randn(
        1, 256, 200, 272, generator=torch.Generator().manual_seed(2)
    )
    with torch.no_grad():
        plain = network(maps)
        with exact_group_norm():
            found = network(maps)
        again = network(maps)
        exact = network.double()(maps.double())
    assert float((found - exact).abs().max()) < 1e-5
    assert float((plain - exact).abs().max()) > 2e-5
    assert torch.equal(plain, again)
