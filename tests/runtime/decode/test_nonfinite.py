"""NaN and infinity in the heads of any rule are counted, head by head, while they are decoded."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from segrt.runtime import open_bundle

RULES = ("argmax", "binary", "query_semantic", "query_instances", "paste_masks", "merge_queries")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_every_bad_head_counts_once(tiny: SimpleNamespace, rule: str, value: float) -> None:
    with open_bundle(tiny.bundle(rule), threads=1) as segmenter:
        heads, geometry = segmenter.heads(tiny.thirds(24, 48))
        assert segmenter.decoded(heads, geometry).nonfinite_heads == 0
        floats = [name for name, head in heads.items() if head.dtype.kind == "f"]
        for name in floats:
            assert segmenter.decoded(with_bad(heads, name, value), geometry).nonfinite_heads == 1, name


def with_bad(heads: dict[str, Any], name: str, value: float) -> dict[str, Any]:
    """Return `heads` with `value` in a place of head `name` that is surely read: in every mask, the last class."""
    head = heads[name].copy()
    head[0, ..., -1] = value if head.ndim > 2 else head[0, ..., -1]
    if head.ndim == 2:
        head[0, -1] = value
    return {**heads, name: head}
