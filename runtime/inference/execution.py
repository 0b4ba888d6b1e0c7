"""How a bundle is executed, as the commands that open one are told."""

from dataclasses import dataclass, field

from segrt.runtime.inference.engine_policy import EnginePolicy
from segrt.runtime.inference.tensors import WantedDevice


@dataclass(frozen=True)
class Execution:
    """The backend's name or "auto", the variant (None: the bundle's first), CPU threads (0: the default), engines.

    With `device` "cpu" no GPU is used, as for whatever others are compared with.
    """

    backend: str = "auto"
    precision: str | None = None
    threads: int = 0
    engines: EnginePolicy = field(default_factory=EnginePolicy)
    device: WantedDevice = "auto"
