"""What a backend is opened from: an ONNX file with the tensors that it is promised to have, and how it is opened."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segrt.runtime.errors import BundleError
from segrt.runtime.files.file_check import check_file, plain_file
from segrt.runtime.inference.engine_policy import EnginePolicy
from segrt.runtime.inference.onnx_scan import refuse_external_data
from segrt.runtime.inference.tensors import Device, TensorSpec, WantedDevice


@dataclass(frozen=True)
class NetworkFile:
    """One network at one precision.

    name: what it is called in logs and names of engines; folder, file: where the ONNX file lies, with forward slashes;
    size, sha256: its bytes and their hash, in hex. inputs, heads: with the batch that it is opened for.
    """

    name: str
    precision: str
    folder: Path
    file: str
    size: int
    sha256: str
    inputs: tuple[TensorSpec, ...]
    heads: tuple[TensorSpec, ...]

    @property
    def batch(self) -> int:
        """How many frames a batch has."""
        return self.inputs[0].lengths[0]

    def checked(self) -> Path:
        """Return the file's path once its hash was found right and no tensor lies outside it; raise BundleError else.

        It is asked only where the file itself is needed: an engine that fits has no use for it.
        """
        path = plain_file(self.folder, self.file)
        check_file(path, self.size, self.sha256)
        refuse_external_data(path)
        return path


@dataclass(frozen=True)
class Opening:
    """How a backend is opened.

    threads: of the CPU (0: the default); slots: batches in flight; engines: what is done about TensorRT's. heads_on:
    with "cuda" a backend that can leaves the heads on the GPU (its `head_device` says whether it does). device: "cpu"
    keeps ONNX Runtime from the GPU, as whatever others are compared with must be; "auto" takes what is there.
    """

    threads: int = 0
    slots: int = 2
    engines: EnginePolicy = field(default_factory=EnginePolicy)
    heads_on: Device = "cpu"
    device: WantedDevice = "auto"


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
