"""Scores of tiles become the class map that the scores of the whole picture would give."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segrt.runtime import open_bundle, postproc
from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.binary import Binary
from segrt.runtime.decode.class_map import ClassMap
from segrt.runtime.decode.decoders import find_decoder
from segrt.runtime.decode.query_semantic import QuerySemantic
from segrt.runtime.decode.rule import Context
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.tiling import Tile, Tiling
from segrt.runtime.results import Label, SemanticResult
from segrt.runtime.segmenter.tiles.blended_classes import BlendedJoining
from segrt.runtime.segmenter.tiles.score_grids import ScoreGrid, ScoreRule, score_rule
from segrt.runtime.segmenter.tiles.whole_view import classes_of_both

LABELS = (Label("ground", 1, False, (90, 90, 90)), Label("sky", 2, False, (90, 90, 200)))
THINGS = (Label("person", 3, True, (200, 0, 0)), Label("car", 4, True, (0, 0, 200)))


def rule_of(decode: Any, labels: int) -> ScoreRule:
    rule = score_rule(decode, labels)
    assert rule is not None
    return rule


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.tuples(st.integers(40, 200), st.integers(40, 200)),
    tile=st.tuples(st.integers(32, 90), st.integers(32, 90)),
    share=st.integers(0, 50),
)
def test_tiles_that_see_one_scene_fade_into_it(
    seed: int, size: tuple[int, int], tile: tuple[int, int], share: int
) -> None:
    """A scene whose scores are known in every pixel: whatever the tiles, the map is that of the whole."""
    scores = np.random.default_rng(seed).normal(size=(4, *size)).astype(np.float32)
    joining = BlendedJoining(size, LABELS + THINGS, rule_of(Argmax(), 4))
    kept = []
    for part in Tiling.of(f"{tile[0]}x{tile[1]},{share}%,alone").cut(size):
        cut = scores[:, part.rows, part.columns]
        joining.add(part, ScoreGrid(cut, (0, 0, *part.size)))
        kept.append(len(joining._kept))
    top = np.sort(scores, 0)
    sure = top[-1] - top[-2] > 1e-4
    result = joining.finish()
    assert (result.class_map == scores.argmax(0))[sure].all()
    in_a_row = -(-size[1] // (tile[1] - int(tile[1] * share / 100)))
    assert max(kept) <= 3 * max(1, in_a_row)  # of tiles that are decided nothing is kept


def test_where_tiles_overlap_one_fades_into_the_other() -> None:
    """One tile says sky, the other person: the border is where both count alike, halfway."""
    left, right = Tiling.of("40x60,20,alone").cut((40, 100))
    joining = BlendedJoining((40, 100), LABELS + THINGS[:1], rule_of(Argmax(), 3))
    for tile, scores in ((left, (0, 2, 0)), (right, (0, 0, 4))):
        joining.add(tile, ScoreGrid(np.array(scores, np.float32).reshape(3, 1, 1), (0, 0, 1, 1)))
    [row] = np.unique(joining.finish().class_map, axis=0)
    # 2 (60 - x - .5) / 20 against 4 (x + .5 - 40) / 20: they meet at x = 46.2
    assert row.tolist() == [1] * 47 + [2] * 53


DECODES: list[tuple[Any, tuple[Label, ...], dict[str, tuple[int, ...]]]] = [
    (Argmax(), LABELS + THINGS, {"semantic_logits": (4, 9, 11)}),
    (Argmax(align_corners=True), LABELS + THINGS, {"semantic_logits": (4, 9, 11)}),
    (QuerySemantic(), LABELS + THINGS, {"class_logits": (6, 5), "mask_logits": (6, 9, 11)}),
    (Binary(), THINGS[:1], {"object_scores": (1, 9, 11)}),
    (Binary(score_threshold=0.8), LABELS, {"object_scores": (9, 11)}),
    (Binary(scores="probabilities", score_threshold=0.3), LABELS, {"object_scores": (1, 9, 11)}),
    (Binary(enlarge="probabilities"), THINGS[:1], {"object_scores": (1, 9, 11)}),
    (Binary(scores="bytes"), THINGS[:1], {"object_scores": (1, 9, 11)}),
]


@pytest.mark.parametrize(("decode", "labels", "shapes"), DECODES)
@pytest.mark.parametrize("whole", [False, True])
def test_scores_are_those_that_the_rule_decodes(decode: Any, labels: Any, shapes: Any, whole: bool) -> None:
    """One tile, and a whole that sees the same: the rule's own decoder makes the same map."""
    rng = np.random.default_rng(5)
    heads: dict[str, Any] = {role: rng.normal(size=shape).astype(np.float32) for role, shape in shapes.items()}
    if isinstance(decode, Binary) and decode.scores != "logits":
        scale, dtype = (255, np.uint8) if decode.scores == "bytes" else (1, np.float32)
        heads = {role: (rng.uniform(size=shape) * scale).astype(dtype) for role, shape in shapes.items()}
    geometry = Geometry((50, 70), (36, 44), (2.0, 0.0, 36.0, 41.5))
    joining = BlendedJoining((50, 70), labels, rule_of(decode, len(labels)))
    grid = joining.rule.read(heads, geometry)
    if whole:
        joining.add_whole(grid)
    joining.add(Tile((0, 0, 50, 70), (0, 0, 50, 70)), grid)
    result = joining.finish()
    decoded = find_decoder(decode, "cpu")(heads, geometry, Context(decode, labels))
    assert result.class_map.dtype == decoded.class_map.dtype
    assert result.void_id == decoded.void_id
    assert (result.class_map != decoded.class_map).mean() < 0.002  # a rounding at a border
    assert len(np.unique(result.class_map)) > 1


def test_rules_without_scores_have_none() -> None:
    for decode in (ClassMap(), Binary(scores="mask"), QuerySemantic(processed_size=(96, 96))):
        assert score_rule(decode, 2) is None


def test_values_that_are_not_finite_are_told() -> None:
    heads = {"semantic_logits": np.full((2, 3, 3), np.nan, np.float32)}
    joining = BlendedJoining((30, 30), LABELS, rule_of(Argmax(), 2))
    grid = joining.rule.read(heads, Geometry((30, 30), (3, 3), (0, 0, 3, 3)))
    joining.add_whole(grid)
    joining.add(Tile((0, 0, 30, 30), (0, 0, 30, 30)), grid)
    assert joining.finish().nonfinite_heads == 2


def test_of_stuff_alone_tiles_are_believed_too() -> None:
    """A map of stuff, land cover for instance: with the whole's view alone, tiles would be for nothing."""
    grid = lambda *scores: ScoreGrid(np.array(scores, np.float32).reshape(2, 1, 1), (0, 0, 1, 1))  # noqa: E731
    joining = BlendedJoining((40, 40), LABELS, rule_of(Argmax(), 2))
    joining.add_whole(grid(1, 0))
    joining.add(Tile((0, 0, 40, 40), (0, 0, 40, 40)), grid(0, 3))
    assert (joining.finish().class_map == 1).all()
    whole, tiles = (np.full((4, 4), value, np.uint8) for value in (0, 1))
    both = classes_of_both(SemanticResult(whole, LABELS), SemanticResult(tiles, LABELS))
    assert (both.class_map == 1).all()


def test_a_bundle_of_scores_is_blended(tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = tiny.thirds(150, 250)
    calls: list[Any] = []

    def counted(views: Any, *arguments: Any, **options: Any) -> Any:
        calls.append((len(views), options["whole"] is not None))
        return postproc.blend_map(views, *arguments, **options)

    monkeypatch.setattr("segrt.runtime.segmenter.tiles.blended_classes.blend_map", counted)
    with open_bundle(tiny.bundle("argmax"), threads=1, tile="90x150") as tiled:
        assert tiled(picture).size == (150, 250)
    assert {count for count, _ in calls} == {1, 2, 4}
    assert all(whole for _, whole in calls)
