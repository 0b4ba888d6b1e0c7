"""The search keeps the layers that matter, as few as it can, and ends when it must."""

import numpy as np
import pytest

from segrt.export.precision.search import search


def make(errors, limit, broken=()):
    """A network whose error is the root of its low layers' summed squares; `broken` layers make it infinite."""
    count = {"probe": 0, "passes": 0}

    def error(low):
        if set(low) & set(broken):
            return np.inf
        return float(np.sqrt(sum(errors[layer] ** 2 for layer in low)))

    def probe(low):
        count["probe"] += 1
        return error(low)

    def passes(kept):
        count["passes"] += 1
        return error(set(range(len(errors))) - set(kept)) <= limit

    return probe, passes, count


def test_nothing_is_kept_when_nothing_is_needed():
    probe, passes, count = make([0.1] * 5, 1.0)
    outcome = search(range(5), [1] * 5, probe, passes)
    assert (outcome.kept, outcome.steps, outcome.finished) == (frozenset(), 1, True)
    assert count == {"probe": 0, "passes": 1}


@pytest.mark.parametrize("planted", [0, 37, 99])
def test_the_one_layer_that_overflows_is_found_among_a_hundred(planted):
    probe, passes, _ = make([1e-4] * 100, 0.1, broken=[planted])
    outcome = search(range(100), [5] * 100, probe, passes, steps=60)
    assert outcome.kept == {planted}
    assert outcome.finished
    assert outcome.findings[0].layers == (planted,)
    assert outcome.findings[0].error == np.inf
    assert outcome.findings[0].kept


def test_as_few_layers_as_possible_are_kept_and_the_costliest_is_given_back():
    random = np.random.default_rng(0)
    for _ in range(10):
        errors = random.uniform(0, 1, 12)
        probe, passes, _ = make(errors, 1.0)
        outcome = search(range(12), [1] * 12, probe, passes)
        ranked = sorted(range(12), key=lambda layer: -errors[layer])
        needed = next(k for k in range(13) if np.sqrt(sum(errors[i] ** 2 for i in ranked[k:])) <= 1.0)
        assert len(outcome.kept) == needed
        assert passes(outcome.kept)
    # Layer 0 has the largest error and the most work; the two next ones do as well as it alone.
    probe, passes, _ = make([1.0, 0.9, 0.9, 0.1], 1.1)
    outcome = search(range(4), [100, 1, 1, 1], probe, passes)
    assert outcome.kept == {1, 2}


def test_a_search_without_steps_or_time_keeps_what_is_known_to_pass():
    probe, passes, count = make([0.1] * 20, 0.0)
    told: list[tuple[int, int]] = []
    outcome = search(range(20), [1] * 20, probe, passes, steps=7, progress=lambda *step: told.append(step))
    assert told == [(step, 7) for step in range(1, 8)]
    assert not outcome.finished
    assert outcome.kept == frozenset(range(20))
    assert sum(count.values()) == outcome.steps == 7
    probe, passes, _ = make([0.1] * 20, 0.0)
    late = search(range(20), [1] * 20, probe, passes, seconds=-1.0)
    assert (late.steps, late.finished, late.kept) == (0, False, frozenset(range(20)))
    # Coarse, but true: what was kept before the steps ran out passes.
    errors = np.full(64, 1e-3)
    errors[13] = 5.0
    probe, passes, _ = make(errors, 0.5)
    short = search(range(64), [1] * 64, probe, passes, steps=14)
    assert 13 in short.kept
    assert len(short.kept) < 64
    assert passes(short.kept)
