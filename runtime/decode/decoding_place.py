"""Where heads are decoded: on the GPU where they lie there and the kernels run, else on the CPU, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np

from segrt.runtime.decode.decoders import PROGRAMS
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.errors import BackendError
from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.cuda.cuda_errors import explained
from segrt.runtime.inference.cuda.interface import Cuda
from segrt.runtime.inference.cuda.kernels import NO_KERNELS, built_files, kernels_on, why_no_kernels
from segrt.runtime.inference.execution import WantedPlace
from segrt.runtime.inference.tensors import Device, TensorSpec

_WITHOUT_KERNELS = "take --decode cpu or auto, which decode on the CPU"


@dataclass(frozen=True)
class Placement:
    """The `device` that decodes, and the `reason` in one line."""

    device: Device
    reason: str


def check_wanted(wanted: str) -> None:
    """Raise BackendError for a place that does not exist."""
    if wanted not in get_args(WantedPlace):
        raise BackendError(f"decode_on must be {', '.join(get_args(WantedPlace))}, but got {wanted!r}")


def before_opening(wanted: WantedPlace, decode: DecodeRule, heads: Mapping[str, TensorSpec]) -> Placement:
    """Return where the heads (role → head) are to lie; raise BackendError when "cuda" is wanted and cannot be."""
    check_wanted(wanted)
    if wanted == "cpu":
        return Placement("cpu", "as asked")
    why = why_no_program(decode, heads)
    if why is None:
        return Placement("cuda", "")
    if wanted == "cuda":
        raise BackendError(f"--decode cuda: {why}; {_WITHOUT_KERNELS}")
    return Placement("cpu", f"because {why}")


def why_no_program(decode: DecodeRule, heads: Mapping[str, TensorSpec]) -> str | None:
    """Return why this build of segrt decodes these heads (role → head) by the rule on no GPU, or None."""
    rule = decode.rule_name
    if rule not in PROGRAMS:
        return f"rule {rule} has no decoder on the GPU"
    if not built_files():
        return NO_KERNELS
    varies = next((head.name for head in heads.values() if not head.is_fixed), None)
    if varies is not None:
        return f"head {varies!r} has a length that varies"
    program = PROGRAMS.load(rule)
    why: str | None = program.why_not_rule(decode)
    return why or program.why_not({role: np.dtype(head.dtype) for role, head in heads.items()})


def after_opening(wanted: WantedPlace, decode: DecodeRule, backend: Backend) -> Placement:
    """Return where heads are decoded that were wanted on the GPU, now that `backend` is open.

    Where they lie there and the kernels do not run, that is "cpu", and it is to be opened anew with the heads there.
    Raises BackendError when "cuda" is wanted and cannot be, DeviceLostError when the GPU is lost.
    """
    why = _why_not_on(backend, decode)
    if why is None:
        return Placement("cuda", f"{'as asked' if wanted == 'cuda' else 'the heads lie there'}")
    if wanted == "cuda":
        is_there = backend.head_device == "cuda"
        remedy = "" if is_there else "; take --decode auto, or see what `segrt doctor` says of a GPU"
        raise BackendError(f"--decode cuda: {why}{remedy}")
    return Placement("cpu", f"because {why}")


def why_not_on_gpu(cuda: Cuda, rule: str) -> str | None:
    """Return why the kernels of `rule` do not run on the GPU, with the remedy, or None; use inside `cuda.current()`."""
    files = built_files()
    return why_no_kernels(cuda.device) or kernels_on(cuda).why_not(rule if rule in files else files[0])


def _why_not_on(backend: Backend, decode: DecodeRule) -> str | None:
    slot = backend.acquire()
    try:
        queue = slot.gpu
        if backend.head_device != "cuda" or queue is None:
            why = f" ({backend.remark})" if backend.remark else ""
            return f"the heads lie on the CPU{why}"
        with queue.cuda.current(), explained(f"decoding on {queue.cuda.device.name}"):
            return why_not_on_gpu(queue.cuda, decode.rule_name)
    finally:
        backend.release(slot)
