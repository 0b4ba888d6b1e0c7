"""What a variant's network takes and gives, as a backend needs it: fixed batch, dtypes of that variant."""

from collections.abc import Sequence

from segrt.runtime.bundle.manifest import Manifest, Variant
from segrt.runtime.errors import BackendError, BundleError
from segrt.runtime.inference.backend import TensorSpec


def tensor_specs(
    manifest: Manifest, variant: Variant, batch: int = 1
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Return (inputs, heads) of `variant` for a batch of `batch` frames.

    Raises BackendError when the network has a fixed batch of another length.
    """
    if batch < 1:
        raise BackendError(f"batch must be at least 1, but got {batch}")

    def fixed(name: str, shape: Sequence[int | str]) -> tuple[int | str, ...]:
        if shape and shape[0] == "N":
            return (batch, *shape[1:])
        if batch != 1:
            raise BackendError(
                f"batch must be 1, but got {batch}: {name!r} of this network has a fixed first dimension"
            )
        return tuple(shape)

    inputs = tuple(TensorSpec(spec.name, spec.dtype, fixed(spec.name, spec.shape)) for spec in manifest.inputs)
    heads = tuple(
        TensorSpec(spec.name, variant.head_dtypes.get(spec.name, spec.dtype), fixed(spec.name, spec.shape))
        for spec in manifest.heads
    )
    return inputs, heads


def check_network(
    where: str, kind: str, promised: Sequence[TensorSpec], found: Sequence[TensorSpec], *, complete: bool
) -> None:
    """Raise BundleError when the tensors `found` in a network are not those that the manifest promised.

    `kind` is "input" or "head"; with `complete` the network may have no further ones. `where` names the file.
    """
    remedy = "the ONNX file and the manifest do not belong together, write the bundle again"
    by_name = {spec.name: spec for spec in found}
    for want in promised:
        got = by_name.pop(want.name, None)
        if got is None:
            names = ", ".join(repr(spec.name) for spec in found)
            raise BundleError(f"{where}: has no {kind} {want.name!r}, only {names}; {remedy}")
        same = len(want.shape) == len(got.shape) and all(
            isinstance(a, str) or isinstance(b, str) or a == b for a, b in zip(want.shape, got.shape, strict=True)
        )
        if want.dtype != got.dtype or not same:
            raise BundleError(f"{where}: {kind} must be {want} by the manifest, but the network has {got}; {remedy}")
    if complete and by_name:
        raise BundleError(f"{where}: needs an {kind} {next(iter(by_name))!r} that the manifest does not know; {remedy}")
