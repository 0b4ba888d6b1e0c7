"""A bundle's networks as backends take them: the file, and tensors with a fixed batch and the variant's dtypes."""

from collections.abc import Sequence

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.manifest import Manifest, Variant
from segrt.runtime.errors import BackendError
from segrt.runtime.inference.network_file import NetworkFile
from segrt.runtime.inference.tensors import TensorSpec


def network_file(bundle: Bundle, variant: Variant, batch: int = 1) -> NetworkFile:
    """Return the network of `variant` of a bundle without members, for a batch of `batch` frames.

    Raises BackendError when the network has a fixed batch of another length.
    """
    inputs, heads = tensor_specs(bundle.manifest, variant, batch)
    return NetworkFile(
        name=bundle.manifest.name,
        precision=variant.precision,
        folder=bundle.folder,
        file=variant.file.path,
        size=variant.file.size,
        sha256=variant.file.sha256,
        inputs=inputs,
        heads=heads,
    )


def member_files(bundle: Bundle, variant: Variant, batch: int = 1) -> dict[str, NetworkFile]:
    """Return the networks of a bundle of members, by the members' names; see `network_file`."""
    parts = {member.name: bundle.member(member) for member in bundle.manifest.members}
    return {name: network_file(part, part.variant(variant.precision), batch) for name, part in parts.items()}


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
