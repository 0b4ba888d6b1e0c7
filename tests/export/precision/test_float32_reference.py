"""Variants are compared with float32's heads of the very pictures that they are fed."""

from collections.abc import Callable
from typing import Any

import numpy as np

from segrt.export.bundling import Network
from segrt.export.precision.float32_reference import Float32Reference, session_runner
from segrt.runtime.preprocess.picture import network_inputs
from segrt.runtime.streetworld import StreetWorld


def test_heads_known_of_a_larger_picture_are_not_those_of_the_reduced_one(
    make_chain: Callable[..., Any], network: Network
) -> None:
    run = session_runner(make_chain(), network, 1)
    small = StreetWorld(710_001).render(3.0, (96, 160)).image
    large = np.random.default_rng(1).integers(0, 256, (720, 960, 3)).astype(np.uint8)
    known = [run(network_inputs(network.inputs, picture)[0]) for picture in (small, large)]
    reference = Float32Reference(network, [small, large], run, known)
    wanted = [run(feed) for feed in reference.feeds]
    assert not np.array_equal(known[1]["logits"], wanted[1]["logits"])
    for ours, theirs in zip(reference.heads, wanted, strict=True):
        np.testing.assert_array_equal(ours["logits"], theirs["logits"])
    assert reference.compare(wanted).error == 0
