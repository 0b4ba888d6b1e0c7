"""SOLOv2's decoder against mmdetection's order of operations, written out slowly."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from reference import slow_matrix_nms

from segrt.runtime.decode.decoders import find_decoder
from segrt.runtime.decode.matrix_nms import MatrixNms, matrix_nms
from segrt.runtime.decode.rule import Context
from segrt.runtime.errors import BundleError
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Label

LABELS = tuple(Label(f"class {index}", index, True, (index, 0, 0)) for index in range(5))


def scene(seed: int, count: int = 40, grid: tuple[int, int] = (24, 32)) -> dict[str, np.ndarray]:
    """Blobs of all sizes, near-duplicates among them, sorted by score."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : grid[0], 0 : grid[1]]
    centres = rng.uniform(0, 1, (count // 2, 2)).repeat(2, 0) * grid + rng.normal(0, 0.5, (count, 2))
    sizes = rng.uniform(0.6, 9, count // 2).repeat(2) + rng.normal(0, 0.2, count)
    distance = np.hypot(rows - centres[:, :1, None], columns - centres[:, 1:, None])
    probabilities = 1 / (1 + np.exp((distance - sizes[:, None, None]) * rng.uniform(0.3, 3, count)[:, None, None]))
    return {
        "scores": np.sort(rng.uniform(0, 1, count))[::-1].astype(np.float32),
        "class_ids": rng.integers(0, 2, count // 2).repeat(2).astype(np.int32),
        "least_areas": rng.choice([8, 16, 32], count).astype(np.float32),
        "mask_probabilities": probabilities.astype(np.float32),
    }


def expected(heads: dict[str, np.ndarray], geometry: Geometry, rule: MatrixNms) -> list[tuple[float, int, np.ndarray]]:
    """(score, class, mask) of every instance, by descending score."""
    candidates = []
    for score, label, least, mask in zip(*(heads[name] for name in heads), strict=True):
        inside = mask > rule.mask_threshold
        if score > rule.candidate_threshold and inside.sum() > least:
            candidates.append((float(score * (mask * inside).sum() / inside.sum()), int(label), mask))
    candidates = sorted(candidates, key=lambda found: -found[0])[: rule.nms_pre]
    scores = slow_matrix_nms.matrix_nms(
        np.array([mask > rule.mask_threshold for _, _, mask in candidates]),
        np.array([score for score, _, _ in candidates]),
        np.array([label for _, label, _ in candidates]),
        rule.kernel,
        rule.sigma,
    )
    found = []
    for score, (_, label, mask) in zip(scores, candidates, strict=True):
        if score >= rule.filter_threshold and score >= rule.score_threshold:
            whole = cv2.resize(mask, None, fx=rule.stride, fy=rule.stride, interpolation=cv2.INTER_LINEAR)
            top, left, bottom, right = (int(edge) for edge in geometry.window)
            height, width = geometry.source_size
            enlarged = cv2.resize(whole[top:bottom, left:right], (width, height), interpolation=cv2.INTER_LINEAR)
            found.append((float(score), label, enlarged > rule.mask_threshold))
    return sorted(found, key=lambda one: -one[0])[: rule.max_instances]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("seed", range(4))
def test_instances_are_those_of_mmdetections_steps(seed: int, dtype: type) -> None:
    heads = scene(seed)
    heads["mask_probabilities"] = heads["mask_probabilities"].astype(dtype).astype(np.float32)
    geometry = (
        Geometry((101, 150), (90, 128), (0, 0, 86, 128)) if seed % 2 else Geometry((40, 60), (96, 128), (0, 0, 85, 128))
    )
    rule = MatrixNms(score_threshold=0.1, max_instances=12, nms_pre=30)
    wanted = expected(heads, geometry, rule)
    given = {**heads, "mask_probabilities": heads["mask_probabilities"].astype(dtype)}
    found = matrix_nms(given, geometry, Context(rule, LABELS))
    assert 4 < len(wanted) == len(found)
    assert sum(a[1] != b[1] for a, b in pairwise(wanted)) > 1
    np.testing.assert_allclose(found.scores, [score for score, _, _ in wanted], atol=1e-5)
    np.testing.assert_array_equal(found.class_ids, [label for _, label, _ in wanted])
    for mask, (_, _, theirs), box in zip(found.masks, wanted, found.boxes, strict=True):
        assert np.mean(mask != theirs) < 2e-4, "only pixels at the threshold itself may differ"
        rows, columns = np.nonzero(mask)
        np.testing.assert_array_equal(box, [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def test_every_threshold_has_its_own_effect() -> None:
    heads, geometry = scene(1), Geometry((96, 128), (96, 128), (0, 0, 96, 128))

    def count(**thresholds: float) -> int:
        return len(matrix_nms(heads, geometry, Context(MatrixNms(**thresholds), LABELS)))  # type: ignore[arg-type]

    every = count(candidate_threshold=0.0, filter_threshold=0.0, score_threshold=0.0)
    assert every > count(candidate_threshold=0.4, filter_threshold=0.0, score_threshold=0.0) > 0
    assert every > count(filter_threshold=0.2, score_threshold=0.0) > 0
    assert count(filter_threshold=0.2, score_threshold=0.0) == count(filter_threshold=0.0, score_threshold=0.2)
    assert count(max_instances=3, score_threshold=0.0) == 3
    assert count(mask_threshold=0.9, score_threshold=0.0) < every
    assert count(candidate_threshold=1.0) == 0


def test_a_mask_of_a_single_row_of_cells_reaches_the_pictures_edge() -> None:
    heads = {name: values[:1].copy() for name, values in scene(0).items()}
    heads["scores"][:] = 0.9
    heads["mask_probabilities"][:] = 0
    heads["mask_probabilities"][0, -1] = 1
    found = matrix_nms(heads, Geometry((48, 64), (96, 128), (0, 0, 96, 128)), Context(MatrixNms(), LABELS))
    # The last cells are centred on row 94, those before on row 90: the probability is one half on row 92.
    np.testing.assert_array_equal(found.boxes, [[0, 46, 64, 48]])


def test_the_table_knows_the_rule() -> None:
    assert find_decoder(MatrixNms(), "cpu") is matrix_nms


def test_masks_that_are_too_small_and_unknown_classes_are_refused() -> None:
    heads = scene(0)
    with pytest.raises(BundleError, match="do not cover its input, 100 high and 128 wide"):
        matrix_nms(heads, Geometry((100, 128), (100, 128), (0, 0, 100, 128)), Context(MatrixNms(), LABELS))
    heads["class_ids"][3] = 5
    with pytest.raises(BundleError, match="class ids 0 to 5, but the bundle has 5 labels"):
        matrix_nms(heads, Geometry((96, 128), (96, 128), (0, 0, 96, 128)), Context(MatrixNms(), LABELS))
