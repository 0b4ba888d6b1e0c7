"""Queries are found again wherever they are, and no bundle is written whose golden frames differ, whoever writes it."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from segrt.export.bundling import GoldenPicture, VariantFile
from segrt.export.precision.bundle_variants import write_with_variants
from segrt.runtime.authoring.pairing import PairOptions, pair_bundles
from segrt.runtime.authoring.rewriting import rewrite
from segrt.runtime.authoring.verification import match_queries
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import CheckFailed


def nearest(wanted: list[np.ndarray], actual: list[np.ndarray]) -> list[int]:
    """The nearest actual query of each wanted one, pair by pair and head by head."""
    found = []
    for query in range(len(wanted[0])):
        distances = []
        for other in range(len(actual[0])):
            parts = []
            for wanted_head, actual_head in zip(wanted, actual, strict=True):
                size = float(np.mean(np.abs(wanted_head))) or 1.0
                part = float(np.mean(np.abs(actual_head[other] - wanted_head[query]))) / size
                parts.append(np.inf if np.isnan(part) else part)
            distances.append(sum(parts))
        found.append(int(np.argmin(distances)))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_each_query_gets_the_nearest_one_in_all_heads_together(seed: int) -> None:
    random = np.random.default_rng(seed)
    actual = [random.normal(size=(9, 5)), 50 * random.normal(size=(9, 6, 7))]
    order = random.permutation(9)[:4]
    wanted = [head[order] + random.normal(0, 0.3 * np.abs(head).mean(), head[order].shape) for head in actual]
    assert match_queries(wanted, actual).tolist() == nearest(wanted, actual)
    exact = [head[order] for head in actual]
    assert match_queries(exact, actual).tolist() == order.tolist()


def test_a_query_that_is_not_a_number_is_never_the_nearest() -> None:
    actual = [np.array([[np.nan, 0.0], [9.0, 9.0], [5.0, 5.0]])]
    assert match_queries([np.zeros((2, 2))], actual).tolist() == [2, 2]
    assert match_queries([np.zeros((0, 2))], actual).tolist() == []


def paired(folder: Path, tiny: SimpleNamespace, out: Path) -> None:
    instance = read_bundle(tiny.bundle("query_instances", out="instance"))
    pair_bundles(read_bundle(folder), instance, out, PairOptions(threads=1))


def rewritten(folder: Path, tiny: SimpleNamespace, out: Path) -> None:  # noqa: ARG001 (of all writers)
    rewrite(read_bundle(folder), out, {}, threads=1)


def extended(folder: Path, tiny: SimpleNamespace, out: Path) -> None:
    write_with_variants(read_bundle(folder), [VariantFile("fp32", tiny.save(tiny.semantic_model()))], out, threads=1)


@pytest.mark.parametrize("write", [paired, rewritten, extended])
def test_a_bundle_is_not_made_of_one_whose_golden_frames_differ(
    write: Callable[[Path, SimpleNamespace, Path], None], tiny: SimpleNamespace, tmp_path: Path
) -> None:
    heads = {"logits": np.zeros((1, 3, 8, 12), np.float32)}
    golden = [GoldenPicture("g", tiny.thirds(24, 48), heads)]
    folder = tiny.bundle("argmax", out="wrong", golden=golden, check=False)
    out = tmp_path / "new"
    blamed = folder if write is paired else out
    with pytest.raises(CheckFailed) as refused:
        write(folder, tiny, out)
    assert str(refused.value).startswith(f"{blamed}: 2 golden checks of the fp32 variant fail, first g logits: ")
    assert str(refused.value).endswith("; nothing was written")
    assert not out.exists()
    assert not list(tmp_path.glob(".new*"))
