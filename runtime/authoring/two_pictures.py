"""Two different pictures, one after the other: does each get the heads of its own?

A backend that computes on what lay in its input before (the last picture, zeros) may agree with a golden frame that
proves little. Here every head is compared with ONNX Runtime's on the CPU for both pictures: it must be nearer to its
own picture's than to the other's.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from segrt.runtime.authoring.agreement import agreement
from segrt.runtime.authoring.verification import Check
from segrt.runtime.bundle.golden import QUERY_ROLES, read_golden
from segrt.runtime.errors import BackendError, BundleError
from segrt.runtime.inference.tensors import Array, Slot
from segrt.runtime.inference.tf32 import FP32, TF32
from segrt.runtime.results import Result
from segrt.runtime.segmenter import Segmenter, open_segmenter

# Heads that differ by less than this share of their size between the two pictures tell nothing: a lower precision may
# err as much.
_LEAST_DIFFERENCE = 0.1
_LEAST_DISAGREEMENT = 0.1


@dataclass(frozen=True)
class _Outcome:
    """What one picture gave: heads, name → array with the batch axis, and the result."""

    heads: Mapping[str, Array]
    result: Result


def check_two_pictures(segmenter: Segmenter) -> list[Check]:
    """Run two pictures through one slot after another and, where there are two slots, through both at once.

    Raises BundleError when the bundle has no golden frame to take a picture from.
    """
    pictures = _two_pictures(segmenter)
    precision = FP32 if segmenter.variant.precision == TF32 else segmenter.variant.precision
    with open_segmenter(
        segmenter.bundle,
        backend="onnxruntime",
        precision=precision,
        threads=segmenter.threads,
        device="cpu",
        trial_prompt=True,
    ) as reference:
        wanted = _one_after_the_other(reference, pictures)
    found = {"one after the other": _one_after_the_other(segmenter, pictures)}
    if segmenter.backend.slots > 1:
        found["both at once"] = _at_once(segmenter, pictures)
    return [_judge(segmenter, how, wanted, outcomes) for how, outcomes in found.items()]


def _two_pictures(segmenter: Segmenter) -> list[Array]:
    """Return two pictures of one size: golden frames, or one and itself turned round."""
    bundle = segmenter.bundle
    if not bundle.manifest.golden:
        raise BundleError(f"{bundle.folder}: has no golden frames to check; write the bundle again with some")
    first, *others = (read_golden(bundle, golden)[0] for golden in bundle.manifest.golden[:2])
    if others and others[0].shape == first.shape and not np.array_equal(first, others[0]):
        return [first, others[0]]
    return [first, np.ascontiguousarray(first[::-1, ::-1])]


def _one_after_the_other(segmenter: Segmenter, pictures: list[Array]) -> list[_Outcome]:
    outcomes = []
    for picture in pictures:
        result, heads, _ = segmenter.detailed(picture)
        outcomes.append(_Outcome(heads, result))
    return outcomes


def _at_once(segmenter: Segmenter, pictures: list[Array]) -> list[_Outcome]:
    """Have every picture in a slot of its own before the first is waited for; the last is waited for first."""
    backend = segmenter.backend
    slots: list[Slot] = []
    geometries, outcomes = [], []
    try:
        for picture in pictures:
            slot = backend.acquire()
            slots.append(slot)
            geometries.append(segmenter.preprocess(picture, slot))
            backend.submit(slot)
        for slot, geometry in zip(reversed(slots), reversed(geometries), strict=True):
            heads = backend.wait(slot)
            result = segmenter.postprocess(heads, geometry)
            outcomes.append(_Outcome({name: head.on_host() for name, head in heads.items()}, result))
    finally:
        for slot in slots:
            with suppress(BackendError):  # of a slot that was not waited for, after another failed
                backend.release(slot)
    return outcomes[::-1]


def _judge(segmenter: Segmenter, how: str, wanted: list[_Outcome], found: list[_Outcome]) -> Check:
    """Return whether everything that tells the two pictures apart is nearer to that of its own picture."""
    roles = {spec.name: spec.role for spec in segmenter.manifest.heads}
    told, wrong = 0, []
    for name, role in roles.items():
        one, other = (outcome.heads[name] for outcome in wanted)
        if not _tells_apart(one, other, role):
            continue
        told += 1
        for number, outcome in enumerate(found):
            own, strange = (_distance(outcome.heads[name], head, role) for head in (one, other)[:: 1 - 2 * number])
            if not own < strange:
                wrong.append(f"{name} of picture {number + 1}")
    same = agreement(wanted[0].result, wanted[1].result)
    if same <= 1 - _LEAST_DISAGREEMENT:
        told += 1
        for number, outcome in enumerate(found):
            if not agreement(wanted[number].result, outcome.result) > agreement(
                wanted[1 - number].result, outcome.result
            ):
                wrong.append(f"result of picture {number + 1}")
    value = f"not its own: {', '.join(wrong)}" if wrong else f"{told} of {told} outputs their own picture's"
    if not told:
        value = "no output tells the pictures apart"
    return Check("two pictures", how, value, "each nearer the CPU's for its own", not wrong)


def _tells_apart(one: Array, other: Array, role: str) -> bool:
    """Whether two heads of one shape differ by more than a precision errs."""
    if one.shape != other.shape or not one.size:
        return False
    size = float(np.abs(_as_numbers(one, role)).mean())
    return _distance(one, other, role) > _LEAST_DIFFERENCE * size


def _distance(one: Array, other: Array, role: str) -> float:
    """Return the mean difference; infinity for heads that are not numbers or of another shape."""
    if one.shape != other.shape:
        return float("inf")
    difference = np.abs(_as_numbers(one, role) - _as_numbers(other, role)).mean()
    return float(np.nan_to_num(difference, nan=np.inf))


def _as_numbers(head: Array, role: str) -> Array:
    """Return the head as float32; queries, which may change places, are sorted value by value."""
    numbers = head.astype(np.float32)
    return np.sort(numbers, axis=1) if role.rpartition(".")[2] in QUERY_ROLES and numbers.ndim > 1 else numbers
