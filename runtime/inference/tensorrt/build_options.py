"""What can be asked of the builder. Frozen: the options are part of what an engine is kept under."""

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
    """

    workspace_mb: Annotated[int, msgspec.Meta(ge=0)] = 0
    optimization_level: Annotated[int, msgspec.Meta(ge=0, le=5)] | None = None
    version_compatible: bool = False
    hardware_compatible: Compatibility = "none"
    targets: tuple[Sm, ...] = ()
    dla_core: Annotated[int, msgspec.Meta(ge=0)] | None = None
    detailed: bool = True
    batch: Annotated[int, msgspec.Meta(ge=1)] = 1
