"""The table of backends, in the order in which `auto` tries them. Each is imported only when it is used."""

import logging
from importlib import import_module
from typing import Protocol, TypedDict, cast

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.manifest import Variant
from segrt.runtime.errors import BackendError
from segrt.runtime.inference.backend import Backend
from segrt.runtime.inference.cuda.cuda_errors import DeviceLostError

log = logging.getLogger("segrt.backend")


class BackendModule(Protocol):
    """What the module of a backend offers."""

    def why_not(self, bundle: Bundle, variant: Variant) -> str | None:
        """Return why the backend cannot execute `variant` on this device, with the remedy, or None if it can."""

    def open_backend(self, bundle: Bundle, variant: Variant, *, threads: int, slots: int, batch: int) -> Backend:
        """Open `variant`; `threads` = 0 means the default. Raises BackendError or BundleError."""


class _Opening(TypedDict):
    threads: int
    slots: int
    batch: int


_BACKENDS: dict[str, str] = {}


def register(name: str, module: str) -> None:
    """Add the backend `name`, which lives in `module`; raise ValueError when the name is taken."""
    if name in _BACKENDS:
        raise ValueError(f"backend {name!r} is registered twice: {_BACKENDS[name]} and {module}")
    _BACKENDS[name] = module


register("tensorrt", "segrt.runtime.inference.tensorrt.engine_backend")
register("onnxruntime", "segrt.runtime.inference.onnxruntime")


def backend_names() -> tuple[str, ...]:
    """Return the registered names in the order in which `auto` tries them."""
    return tuple(_BACKENDS)


def open_backend(
    bundle: Bundle, variant: Variant, *, backend: str = "auto", threads: int = 0, slots: int = 2, batch: int = 1
) -> Backend:
    """Open `variant` on the backend of that name, or on the first one that can for "auto".

    `threads` is the number of CPU threads, 0 for the default; `slots` how many batches can be in flight; `batch` how
    many frames a slot holds. The backend's `reason`, which is also one line of the log "segrt.backend", says why it was
    taken. Raises BackendError with the reason when nothing can execute it; a backend that was asked for by name is
    never replaced by another.
    """
    opening: _Opening = {"threads": threads, "slots": slots, "batch": batch}
    if threads < 0:
        raise BackendError(f"threads must be 0 (the default) or more, but got {threads}")
    if backend != "auto" and backend not in _BACKENDS:
        raise BackendError(f"backend must be auto or one of {', '.join(_BACKENDS)}, but got {backend!r}")
    if bundle.manifest.members:
        return _members(bundle, variant, backend, opening)
    opened = _named(bundle, variant, backend, opening) if backend != "auto" else _first(bundle, variant, opening)
    log.info("%s: %s", bundle.manifest.name, opened.reason)
    return opened


def _members(bundle: Bundle, variant: Variant, backend: str, opening: _Opening) -> Backend:
    """Open every member of a bundle of two, each as it would be alone, behind one interface."""
    from segrt.runtime.inference.member_backends import MembersBackend

    opened: dict[str, Backend] = {}
    try:
        for member in bundle.manifest.members:
            alone = bundle.member(member)
            opened[member.name] = open_backend(alone, alone.variant(variant.precision), backend=backend, **opening)
    except BaseException:
        for one in opened.values():
            one.close()
        raise
    both = MembersBackend(opened)
    both.reason = "; ".join(f"{name}: {one.reason}" for name, one in opened.items())
    return both


def _named(bundle: Bundle, variant: Variant, name: str, opening: _Opening) -> Backend:
    """Open the backend of that name and no other."""
    module = _module(name)
    why = module.why_not(bundle, variant)
    if why is not None:
        raise BackendError(f"{name}: {why}")
    return _with_reason(module.open_backend(bundle, variant, **opening), "as asked")


def _first(bundle: Bundle, variant: Variant, opening: _Opening) -> Backend:
    """Open the first backend that can execute `variant`; what stood in the way of the others is in its `reason`.

    A backend that turns out to be unable only while it opens (an operator without a kernel, too little memory) is
    passed over too. A lost device is not: nothing else would work on it.
    """
    passed_over: list[str] = []
    for name in _BACKENDS:
        module = _module(name)
        why = module.why_not(bundle, variant)
        if why is None:
            try:
                opened = module.open_backend(bundle, variant, **opening)
            except BackendError as error:
                if isinstance(error, DeviceLostError) or name == backend_names()[-1]:
                    raise
                why = str(error)
            else:
                return _with_reason(opened, f"because {'; '.join(passed_over)}" if passed_over else "the first choice")
        passed_over.append(f"{name}: {why}")
    raise BackendError("; ".join(passed_over))


def _with_reason(backend: Backend, why: str) -> Backend:
    backend.reason = "; ".join(filter(None, (f"{backend.name} on {backend.device}, {why}", backend.remark)))
    return backend


def _module(name: str) -> BackendModule:
    return cast("BackendModule", import_module(_BACKENDS[name]))
