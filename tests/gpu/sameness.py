"""How far results on the GPU and on the CPU of one bundle are the same: bit for bit, or nearly."""

from typing import Any

from equality import difference

from segrt.runtime.authoring.agreement import agreement

EQUAL = "equal"
# Heads of two devices differ in their last bits; of a small object a pixel is much, of a picture's map little.
LEAST = {"semantic": 0.999, "panoptic": 0.999, "instance": 0.99}


def sameness(got: Any, want: Any, technique: str) -> tuple[str, bool]:
    """Return what of two results is the same, in words, and whether that is enough."""
    told = difference(got, want)
    if not told:
        return EQUAL, True
    share = agreement(want, got)
    return f"{share:.4%} agree ({told})", share >= LEAST[technique]


def all_the_same(pairs: list[tuple[Any, Any]], technique: str) -> tuple[str, bool]:
    """Return the worst of `sameness` of several pairs."""
    told = [sameness(got, want, technique) for got, want in pairs]
    worst = min(told, key=lambda one: (one[1], one[0] == EQUAL))
    equal = sum(words == EQUAL for words, _ in told)
    return (EQUAL if equal == len(told) else f"{equal} of {len(told)} equal, else {worst[0]}"), worst[1]
