"""The table of backends, in the order in which `auto` tries them. Each is imported only when it is used."""

from importlib import import_module
from typing import Protocol, cast

from segrt.runtime.backends.base import Backend
from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.manifest import Variant
from segrt.runtime.errors import BackendError


class BackendModule(Protocol):
    """What the module of a backend offers."""

    def why_not(self, bundle: Bundle, variant: Variant) -> str | None:
        """Return why the backend cannot execute `variant` on this device, with the remedy, or None if it can."""

    def open_backend(self, bundle: Bundle, variant: Variant, *, threads: int, slots: int, batch: int) -> Backend:
        """Open `variant`; `threads` = 0 means the default. Raises BackendError or BundleError."""


_BACKENDS: dict[str, str] = {}


def register(name: str, module: str) -> None:
    """Add the backend `name`, which lives in `module`; raise ValueError when the name is taken."""
    if name in _BACKENDS:
        raise ValueError(f"backend {name!r} is registered twice: {_BACKENDS[name]} and {module}")
    _BACKENDS[name] = module


register("onnxruntime", "segrt.runtime.backends.onnxruntime")


def backend_names() -> tuple[str, ...]:
    """Return the registered names in the order in which `auto` tries them."""
    return tuple(_BACKENDS)


def open_backend(
    bundle: Bundle, variant: Variant, *, backend: str = "auto", threads: int = 0, slots: int = 2, batch: int = 1
) -> Backend:
    """Open `variant` on the backend of that name, or on the first one that can for "auto".

    `threads` is the number of CPU threads, 0 for the default; `slots` how many batches can be in flight; `batch` how
    many frames a slot holds. Raises BackendError with the reason when nothing can execute it.
    """
    if threads < 0:
        raise BackendError(f"threads must be 0 (the default) or more, but got {threads}")
    if backend != "auto" and backend not in _BACKENDS:
        raise BackendError(f"backend must be auto or one of {', '.join(_BACKENDS)}, but got {backend!r}")
    reasons = []
    for name in _BACKENDS if backend == "auto" else (backend,):
        module = cast("BackendModule", import_module(_BACKENDS[name]))
        reason = module.why_not(bundle, variant)
        if reason is None:
            return module.open_backend(bundle, variant, threads=threads, slots=slots, batch=batch)
        reasons.append(f"{name}: {reason}")
    raise BackendError("; ".join(reasons))
