"""What the exported network and the framework's own share is computed once for a picture, and anew for another."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from segrt.export.convert.computed_once import computed_once  # noqa: E402
from segrt.export.convert.torch_threads import torch_threads  # noqa: E402


class Counted(torch.nn.Module):
    """Doubles a tensor and counts how often it did."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def forward(self, values: Any, mask: Any = None) -> Any:
        """Return twice the values."""
        self.runs += 1
        return values * 2 if mask is None else values * 2 * mask


def test_the_very_input_is_computed_once_and_any_other_anew() -> None:
    module, values, mask = Counted(), torch.randn(2, 3), torch.ones(2, 3, dtype=torch.bool)
    with computed_once((module,)):
        wanted = module(values, mask)
        assert module(values.clone(), mask.clone()) is wanted
        assert module.runs == 1
        other = values.clone()
        other[1, 2] += 1e-6
        torch.testing.assert_close(module(other, mask), other * 2)
        torch.testing.assert_close(module(values, ~mask), torch.zeros(2, 3))
        torch.testing.assert_close(module(values), values * 2)
        torch.testing.assert_close(module(values, mask=~mask), torch.zeros(2, 3))
        assert module.runs == 5
    module(values)
    module(values)
    assert module.runs == 7
    assert "forward" not in vars(module)


def test_nothing_is_remembered_from_block_to_block() -> None:
    module, values = Counted(), torch.randn(2, 3)
    for _ in range(2):
        with computed_once((module,)):
            module(values)
    assert module.runs == 2


def test_torch_takes_the_threads_that_are_asked_for_and_gives_them_back() -> None:
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with torch_threads(0):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before
