"""Rule `prompted_masks`: the mask that SAM 2 would choose, cut as its processor cuts it."""

import numpy as np
import pytest

from segrt.runtime.decode.prompted_masks import MASKS, SCORES, PromptedMasks, chosen_mask, prompted_masks
from segrt.runtime.decode.rule import Context
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.prompts import (
    Prompt,
    PromptedGeometry,
    check_prompt,
    fill_prompt,
    trial_prompt,
)
from segrt.runtime.results.labels.one_object import LABELS

RULE = PromptedMasks()


def masks_of(sure: int, doubtful: int) -> np.ndarray:
    """Return masks (4, 20, 20) whose first has so many cells above the delta, so many near 0, the others far below."""
    first = np.full(400, -9.0, np.float32)
    first[:sure], first[sure : sure + doubtful] = 9.0, 0.01
    return np.stack([first.reshape(20, 20)] * 4)


def test_a_point_alone_gets_the_best_of_three_everything_else_the_first_while_it_is_stable() -> None:
    scores = np.array([0.99, 0.2, 0.8, 0.5], np.float32)
    stable, unstable = masks_of(98, 2), masks_of(97, 3)  # 98 % is enough
    assert chosen_mask(stable, scores, RULE, is_ambiguous=True) == 2
    assert chosen_mask(stable, scores, RULE, is_ambiguous=False) == 0
    assert chosen_mask(unstable, scores, RULE, is_ambiguous=False) == 2
    assert chosen_mask(masks_of(0, 0), scores, RULE, is_ambiguous=False) == 0  # nothing at all is stable
    assert chosen_mask(unstable, scores, RULE.replaced(stability_threshold=0.9), is_ambiguous=False) == 0


@pytest.mark.parametrize("size", [(37, 91), (200, 120), (20, 20)])
def test_masks_are_enlarged_and_cut_as_torch_interpolates(size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    masks = np.random.default_rng(3).normal(size=(4, 32, 32)).astype(np.float32)
    scores = np.array([0.1, 0.2, 0.9, 0.3], np.float32)
    geometry = PromptedGeometry(size, (128, 128), (0, 0, 128, 128), is_ambiguous=True)
    result = prompted_masks({MASKS: masks, SCORES: scores}, geometry, Context(RULE, LABELS))
    wanted = torch.nn.functional.interpolate(torch.from_numpy(masks[None, 2:3]), size, mode="bilinear")[0, 0] > 0
    assert float((result.masks[0] == wanted.numpy()).mean()) >= 0.9999
    rows, columns = np.nonzero(wanted.numpy())
    assert result.boxes[0] == pytest.approx([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], abs=1)
    assert result.scores == pytest.approx([0.9])


def test_an_empty_mask_is_an_object_all_the_same_and_nan_is_counted() -> None:
    geometry = Geometry((50, 60), (128, 128), (0, 0, 128, 128))
    empty = prompted_masks(
        {MASKS: np.full((4, 32, 32), -1, np.float32), SCORES: np.array([1.2, 0, 0, 0], np.float32)},
        geometry,
        Context(RULE, LABELS),
    )
    assert (len(empty), empty[0].area, empty.scores.tolist()) == (1, 0, [1.0])
    assert empty.boxes.tolist() == [[0, 0, 0, 0]]
    bad = np.full((4, 32, 32), -1, np.float32)
    bad[0, 3, 3] = np.nan
    found = prompted_masks({MASKS: bad, SCORES: np.full(4, np.nan, np.float32)}, geometry, Context(RULE, LABELS))
    assert found.nonfinite_heads == 2


def test_tokens_stand_where_the_network_sees_them() -> None:
    geometry = Geometry((50, 200), (128, 128), (0, 0, 128, 128))
    points, labels = np.full((6, 2), 7, np.float32), np.full(6, 7, np.int32)
    prompt = Prompt(box=(10, 5, 100, 50), points=((200, 25),), labels=(0,))
    assert not fill_prompt(prompt, geometry, points, labels).is_ambiguous
    assert labels.tolist() == [0, 2, 3, -1, -10, -10]
    assert points[:3] == pytest.approx(np.array([[128, 64], [6.4, 12.8], [64, 128]]))
    assert not points[3:].any()
    assert fill_prompt(Prompt(points=((1, 1),), labels=(1,)), geometry, points, labels).is_ambiguous
    assert check_prompt(trial_prompt((50, 200)), (50, 200), 6, "trial").box == (50, 12.5, 150, 37.5)
