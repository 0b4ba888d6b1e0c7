"""Whether an engine fits: the same network and options, a version and a GPU that can run it."""

from dataclasses import dataclass

import msgspec

from segrt.runtime.inference.engine_policy import BuildOptions
from segrt.runtime.inference.tensorrt.engine_record import EngineRecord
from segrt.runtime.inference.tensorrt.flavor import FlavorName, version_numbers
from segrt.runtime.inference.tensorrt.target import Here, sm_numbers


@dataclass(frozen=True)
class Wanted:
    """The engine that is wanted; `targets` are those of `targets_of`."""

    onnx_sha256: str
    options: BuildOptions
    flavor: FlavorName
    version: str
    targets: tuple[str, ...]
    here: Here


def why_unfit(record: EngineRecord, wanted: Wanted) -> str | None:
    """Return in a few words why the engine of `record` is not the one that is wanted, None when it is.

    Rules of NVIDIA's documentation: a plan holds for the version that built it, or with "version compatible" for
    later ones with the same major number; for the model of GPU that built it, or with "hardware compatible" for its
    compute capability, or for Ampere (8.0) and later; TensorRT-RTX's for the compute capabilities it was built for.
    """
    if record.onnx_sha256 != wanted.onnx_sha256:
        return "was built from another ONNX file"
    if record.flavor != wanted.flavor:
        return f"was built by {record.flavor}, this is {wanted.flavor}"
    return _version(record, wanted) or _gpu(record, wanted) or _options(record, wanted)


def _version(record: EngineRecord, wanted: Wanted) -> str | None:
    if record.version == wanted.version:
        return None
    built, now = version_numbers(record.version), version_numbers(wanted.version)
    if record.options.version_compatible and built[0] == now[0] and built <= now:
        return None
    return f"was built by {record.flavor} {record.version}, this is {wanted.version}"


def _gpu(record: EngineRecord, wanted: Wanted) -> str | None:
    here = wanted.here
    if record.flavor == "tensorrt-rtx":
        if here.has_gpu:
            runs = here.sm in record.targets
            return None if runs else f"was built for SM {', '.join(record.targets)}, this GPU has {here.sm}"
        same = set(record.targets) == set(wanted.targets)
        return None if same else f"was built for SM {', '.join(record.targets)}, not {', '.join(wanted.targets)}"
    if record.options.hardware_compatible == "ampere+" and sm_numbers(here.sm) >= (8, 0):
        return None
    if record.options.hardware_compatible == "same-sm" and record.sm == here.sm:
        return None
    if (record.gpu, record.sm) == (here.gpu, here.sm):
        return None
    return f"was built for {record.gpu} (SM {record.sm}), this is {here.gpu} (SM {here.sm})"


def _options(record: EngineRecord, wanted: Wanted) -> str | None:
    """Compare what the engine was asked to be; targets are judged by the GPU, above."""
    old = msgspec.structs.replace(record.options, targets=())
    new = msgspec.structs.replace(wanted.options, targets=())
    for name in BuildOptions.__struct_fields__:
        before, now = getattr(old, name), getattr(new, name)
        if before != now:
            return f"was built with {name.replace('_', ' ')} {before}, not {now}"
    return None
