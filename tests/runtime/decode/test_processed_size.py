"""The processed size as it stands in a manifest: who must know it, where it is taken, what contradicts itself."""

import json
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from segrt.runtime import open_bundle, postproc
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.manifest_parsing import dump_manifest, parse_manifest
from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.decoders import find_decoder
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.query_semantic import QuerySemantic
from segrt.runtime.decode.rule import Context, DecodeRule
from segrt.runtime.errors import BundleError
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.results import Label

LABELS = tuple(Label(name, number, True, (number, 0, 0)) for number, name in enumerate(("red", "green", "blue")))
GEOMETRY = Geometry((90, 130), (64, 96), (0, 0, 48, 96))


@dataclass(frozen=True)
class Heads:
    """Soft masks of five queries on a grid of 16x24 cells."""

    classes: Any
    masks: Any

    @property
    def by_role(self) -> dict[str, Any]:
        """Return them as a decoder takes them."""
        return {"class_logits": self.classes, "mask_logits": self.masks}


@pytest.fixture(scope="module")
def heads() -> Heads:
    rng = np.random.default_rng(4)
    classes = rng.normal(0, 3, (5, 4)).astype(np.float32)
    return Heads(classes, rng.normal(0, 1.5, (5, 16, 24)).astype(np.float32))


def decoded(rule: DecodeRule, heads: Heads) -> Any:
    return find_decoder(rule, "cpu")(heads.by_role, GEOMETRY, Context(rule, LABELS, 1))


@pytest.mark.parametrize("processed", [msgspec.UNSET, "network", (32, 40)])
def test_logits_go_by_the_size_that_the_manifest_says(processed: Any) -> None:
    logits = np.random.default_rng(5).normal(size=(3, 8, 12)).astype(np.float32)
    rule = Argmax(processed_size=processed)
    size = {msgspec.UNSET: None, "network": (64, 96)}.get(processed, processed)
    expected = postproc.argmax_map(logits, (90, 130), window=GEOMETRY.window_on((8, 12)), processed_size=size)
    result = find_decoder(rule, "cpu")({"semantic_logits": logits}, GEOMETRY, Context(rule, LABELS, 1))
    assert np.array_equal(result.class_map, expected)
    assert rule.required_features == (("processed_size",) if size else ())
    assert ("processed_size" in msgspec.to_builtins(rule)) == bool(size)  # older readers know no such field
    both = list(Argmax(align_corners=True, processed_size=processed).head_problems({}, 3))
    assert both == (["decode.align_corners and decode.processed_size exclude each other"] if size else [])


@pytest.mark.parametrize(("processed", "size"), [(None, None), ("network", (64, 96)), ((32, 40), (32, 40))])
def test_rules_take_scores_where_the_manifest_says(processed: Any, size: Any, heads: Heads) -> None:
    window = GEOMETRY.window_on((16, 24))
    expected = postproc.query_semantic(heads.classes, heads.masks, (90, 130), window=window, processed_size=size)
    assert np.array_equal(decoded(QuerySemantic(processed), heads).class_map, expected)
    for score_at in ("grid", "processed", "picture"):
        if score_at == "processed" and size is None:
            continue
        rule = QueryInstances(score_threshold=0.05, processed_size=processed, score_at=score_at)  # type: ignore[arg-type]
        found = postproc.query_instances_rle(
            heads.classes,
            heads.masks,
            (90, 130),
            score_threshold=0.05,
            window=window,
            processed_size=size,
            score_at=score_at,  # type: ignore[arg-type]
        )
        result = decoded(rule, heads)
        assert result.scores.tolist() == found.scores.tolist()
        assert result.rles == found.rles


def test_what_was_valid_before_says_nothing_and_decodes_as_before(heads: Heads) -> None:
    before = msgspec.convert({"rule": "query_instances", "score_threshold": 0.05}, QueryInstances)
    assert before.required_features == ()
    assert QuerySemantic().required_features == ()
    window = GEOMETRY.window_on((16, 24))
    plain = postproc.query_instances_rle(heads.classes, heads.masks, (90, 130), score_threshold=0.05, window=window)
    assert decoded(before, heads).scores.tolist() == plain.scores.tolist()


def test_a_bundle_names_it_as_a_feature_that_readers_must_know(tiny: SimpleNamespace) -> None:
    changed = replace(tiny.network("query_semantic"), decode=QuerySemantic((48, 72)))
    out = tiny.bundle("query_semantic", network=changed)
    manifest = read_bundle(out).manifest
    assert manifest.required_features == ("processed_size",)
    with open_bundle(out, threads=1) as segmenter:
        assert segmenter.decode == QuerySemantic((48, 72))
    content = json.loads(dump_manifest(manifest))
    content["required_features"] = []
    with pytest.raises(BundleError, match="'processed_size' is not"):
        parse_manifest(json.dumps(content).encode(), "manifest.json")


def test_a_score_at_the_processed_size_needs_one() -> None:
    problems = list(QueryInstances(score_at="processed").head_problems({}, 3))
    assert problems == ['decode.score_at "processed" needs decode.processed_size']
    assert not list(QueryInstances(score_at="processed", processed_size="network").head_problems({}, 3))


@pytest.mark.parametrize("value", ["picture", [0, 4], [4], [4, 9000], 384, [4, 4, 4]])
def test_sizes_that_cannot_be_are_refused(value: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"rule": "query_semantic", "processed_size": value}, QuerySemantic)
