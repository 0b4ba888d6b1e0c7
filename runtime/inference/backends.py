"""The backends, in the order in which `auto` tries them. Each is imported only when it is used."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from segrt.runtime.errors import BackendError, DeviceLostError
from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.chained_backend import ChainedBackend
from segrt.runtime.inference.member_backends import MembersBackend
from segrt.runtime.inference.network_file import NetworkFile, Opening
from segrt.runtime.registry import Registry

log = logging.getLogger("segrt.backend")


class BackendKind(Protocol):
    """What the class of a backend offers beside the interface of `Backend`."""

    def why_not(self, network: NetworkFile, opening: Opening) -> str | None:
        """Return why the backend cannot execute `network` on this device, with the remedy, or None if it can."""

    def open(self, network: NetworkFile, opening: Opening) -> Backend:
        """Open `network`. Raises BackendError or BundleError."""


BACKENDS: Registry[BackendKind] = Registry(
    "backend",
    {
        "tensorrt": "segrt.runtime.inference.tensorrt.engine_kind:TensorRtKind",
        "onnxruntime": "segrt.runtime.inference.onnxruntime:OnnxRuntimeBackend",
    },
)


def open_backend(network: NetworkFile, *, backend: str = "auto", opening: Opening | None = None) -> Backend:
    """Open `network` on the backend of that name, or on the first one that can for "auto".

    The backend's `reason`, which is also one line of the log "segrt.backend", says why it was taken. Raises
    BackendError with the reason when nothing can execute it; a backend that was asked for by name is never replaced by
    another.
    """
    opening = opening or Opening()
    check_choice(backend, opening)
    opened = _named(network, backend, opening) if backend != "auto" else _first(network, opening)
    log.info("%s: %s", network.name, opened.reason)
    return opened


def open_members(
    networks: Mapping[str, NetworkFile], *, backend: str = "auto", opening: Opening | None = None
) -> Backend:
    """Open several networks, each as it would be alone, behind one interface; `networks` is by the members' names.

    Where one network's heads stay on the GPU and another's cannot, all are taken to the CPU.
    """
    opening = opening or Opening()
    opened = _opened_members(networks, backend, opening)
    if len({member.head_device for member in opened.values()}) > 1:
        for member in opened.values():
            member.close()
        opened = _opened_members(networks, backend, replace(opening, heads_on="cpu"))
    joined = MembersBackend(opened)
    joined.reason = "; ".join(f"{name}: {member.reason}" for name, member in opened.items())
    return joined


def open_chain(
    networks: Mapping[str, NetworkFile],
    handed_on: Mapping[str, str],
    *,
    backend: str = "auto",
    opening: Opening | None = None,
) -> ChainedBackend:
    """Open two networks of which the second is given heads of the first; `networks` is by the members' names.

    `handed_on` maps inputs of the second to heads of the first, all with the member's name before them. Their heads lie
    on the CPU.
    """
    opened = _opened_members(networks, backend, replace(opening or Opening(), heads_on="cpu"))
    chained = ChainedBackend(opened, handed_on)
    chained.reason = "; ".join(f"{name}: {member.reason}" for name, member in opened.items())
    return chained


def _opened_members(networks: Mapping[str, NetworkFile], backend: str, opening: Opening) -> dict[str, Backend]:
    opened: dict[str, Backend] = {}
    try:
        for name, network in networks.items():
            opened[name] = open_backend(network, backend=backend, opening=opening)
    except BaseException:
        for member in opened.values():
            member.close()
        raise
    return opened


def check_choice(backend: str, opening: Opening) -> None:
    """Raise BackendError for a backend that does not exist and for a number of threads below 0."""
    if opening.threads < 0:
        raise BackendError(f"threads must be 0 (the default) or more, but got {opening.threads}")
    if backend != "auto" and backend not in BACKENDS:
        raise BackendError(f"backend must be auto or one of {', '.join(BACKENDS)}, but got {backend!r}")


def _named(network: NetworkFile, name: str, opening: Opening) -> Backend:
    """Open the backend of that name and no other."""
    kind = BACKENDS.load(name)
    why = kind.why_not(network, opening)
    if why is not None:
        raise BackendError(f"{name}: {why}")
    return _with_reason(kind.open(network, opening), "as asked")


def _first(network: NetworkFile, opening: Opening) -> Backend:
    """Open the first backend that can execute `network`; what stood in the way of the others is in its `reason`.

    A backend that turns out to be unable only while it opens (an operator without a kernel, too little memory) is
    passed over too. A lost device is not: nothing else would work on it.
    """
    passed_over: list[str] = []
    last = BACKENDS.names()[-1]
    for name in BACKENDS:
        kind = BACKENDS.load(name)
        why = kind.why_not(network, opening)
        if why is None:
            try:
                opened = kind.open(network, opening)
            except BackendError as error:
                if isinstance(error, DeviceLostError) or name == last:
                    raise
                why = str(error)
            else:
                return _with_reason(opened, f"because {'; '.join(passed_over)}" if passed_over else "the first choice")
        passed_over.append(f"{name}: {why}")
    raise BackendError("; ".join(passed_over))


def _with_reason(backend: Backend, why: str) -> Backend:
    backend.reason = "; ".join(filter(None, (f"{backend.name} on {backend.device}, {why}", backend.remark)))
    return backend
