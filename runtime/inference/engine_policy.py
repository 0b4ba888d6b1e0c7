"""TensorRT engines: what the builder is asked for, where they lie, whether they may be built, whether foreign ones run.

Frozen: the builder's options are part of what an engine is kept under.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import msgspec

Compatibility = Literal["none", "same-sm", "ampere+"]
Sm = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,2}\.[0-9]$")]


class BuildOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Builder options.

    workspace_mb: the most memory that a layer may use while it runs, in MiB; 0 leaves it to TensorRT. When the device
        has too little memory for the build, smaller limits are tried one after the other.
    optimization_level: 0 (quick build) to 5 (fast engine); None is TensorRT's default, 3.
    version_compatible: the engine also runs in later versions with the same major number.
    hardware_compatible: "none" for this GPU model alone, "same-sm" for all of its compute capability, "ampere+" for
        every GPU since Ampere (8.0).
    targets: compute capabilities ("8.6") that TensorRT-RTX builds for; empty means its default.
    dla_core: the deep-learning accelerator that takes the layers that it can, the GPU the others; None for the GPU.
    detailed: keep what the engine inspector needs to tell each layer's precision.
    batch: the number of frames in a batch.
    tf32: products of float32 may be computed in TF32; it follows from the variant.
    """

    workspace_mb: Annotated[int, msgspec.Meta(ge=0)] = 0
    optimization_level: Annotated[int, msgspec.Meta(ge=0, le=5)] | None = None
    version_compatible: bool = False
    hardware_compatible: Compatibility = "none"
    targets: tuple[Sm, ...] = ()
    dla_core: Annotated[int, msgspec.Meta(ge=0)] | None = None
    detailed: bool = True
    batch: Annotated[int, msgspec.Meta(ge=1)] = 1
    tf32: bool = False


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
