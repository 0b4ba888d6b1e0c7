"""Random weights whose statistics are set from what flows."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from segrt.export.weights.random_weights import Spread, calibrate, calibration_pixels, seeded  # noqa: E402


def test_a_seed_gives_the_same_weights_and_leaves_torchs_state_alone() -> None:
    before = torch.random.get_rng_state()
    with seeded(4):
        first = nn.Linear(5, 5).weight
    with seeded(4):
        second = nn.Linear(5, 5).weight
    with seeded(5):
        other = nn.Linear(5, 5).weight
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_calibration_pictures_are_those_of_the_seed() -> None:
    pixels = calibration_pixels((48, 64), count=2, seed=1)
    assert pixels.shape == (2, 3, 48, 64)
    assert torch.equal(pixels, calibration_pixels((48, 64), count=2, seed=1))
    assert not torch.equal(pixels, calibration_pixels((48, 64), count=2, seed=2))


def test_one_pass_normalises_every_layer() -> None:
    with seeded(0):
        network = nn.Sequential(*(nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.ReLU()) for _ in range(6)))
    network.eval()
    pixels = calibration_pixels((48, 64)) * 7 + 3
    calibrate(network, lambda: network(pixels))
    flow = pixels
    for block in network:
        flow = block[1](block[0](flow))
        np.testing.assert_allclose(flow.mean((0, 2, 3)).detach(), np.zeros(3), atol=1e-3)
        np.testing.assert_allclose(flow.std((0, 2, 3)).detach(), np.ones(3), atol=0.05)
        flow = torch.relu(flow)


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(3, 4, 2, stride=2)])
def test_a_spread_layer_gives_each_channel_its_mean_and_deviation(layer: nn.Module) -> None:
    pixels = calibration_pixels((32, 32))
    calibrate(layer, lambda: layer(pixels), {layer: Spread(std=2.0, mean=-1.0)})
    outputs = layer(pixels).detach()
    np.testing.assert_allclose(outputs.mean((0, 2, 3)), np.full(4, -1.0), atol=1e-4)
    np.testing.assert_allclose(outputs.std((0, 2, 3)), np.full(4, 2.0), atol=1e-2)


def test_the_asked_share_of_queries_is_live() -> None:
    with seeded(1):
        head, sigmoid_head, rows = nn.Linear(16, 6), nn.Linear(16, 6), torch.randn(2, 200, 16)
    calibrate(head, lambda: head(rows), {head: Spread(std=4.0, axis=-1, live=0.3, no_object=-1)})
    live = (head(rows).argmax(-1) != 5).float().mean()
    assert float(live) == pytest.approx(0.3, abs=0.01)
    calibrate(sigmoid_head, lambda: sigmoid_head(rows), {sigmoid_head: Spread(std=3.0, axis=-1, live=0.2)})
    assert float((sigmoid_head(rows).max(-1).values > 0).float().mean()) == pytest.approx(0.2, abs=0.01)


def test_pooled_features_of_like_pictures_do_not_explode() -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3))
    network.eval()
    pixels = torch.randn(1, 3, 16, 16).repeat(4, 1, 1, 1) + torch.randn(4, 1, 1, 1) * 1e-4
    calibrate(network, lambda: network(pixels))
    assert network(pixels).abs().max() < 5
