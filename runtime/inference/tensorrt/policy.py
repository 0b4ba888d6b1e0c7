"""How engines are kept and taken: where they lie, whether they may be built, whether foreign ones are run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segrt.runtime.inference.tensorrt.build_options import BuildOptions

Progress = Callable[[str, int, int], None]
"""Called with a phase's name, the steps that are done and how many it has; from any thread."""


@dataclass(frozen=True)
class EnginePolicy:
    """What to do about engines.

    engine_dir: where they lie; None is segrt's cache. build: whether one that does not fit is built anew. trust: also
    run plans that were not built on this device, which is running their code. flavor: "auto", "tensorrt" or
    "tensorrt-rtx". options: what the builder is asked for. progress: called with the phases of a build.
    """

    engine_dir: Path | None = None
    build: bool = True
    trust: bool = False
    flavor: str = "auto"
    options: BuildOptions = field(default_factory=BuildOptions)
    progress: Progress | None = None


_current: ContextVar[EnginePolicy] = ContextVar("segrt_engine_policy", default=EnginePolicy())  # noqa: B039 (frozen)


def current_policy() -> EnginePolicy:
    """Return the policy that holds where none is given: that of the innermost `policy` block, or the default."""
    return _current.get()


@contextmanager
def policy(value: EnginePolicy) -> Iterator[None]:
    """Let `value` hold for a block."""
    token = _current.set(value)
    try:
        yield
    finally:
        _current.reset(token)


def change_policy(**changes: Any) -> Callable[[], None]:
    """Let the current policy with `changes` hold from now on; return the function that ends that."""
    token = _current.set(replace(_current.get(), **changes))
    return lambda: _current.reset(token)
