"""A bundle's folder: its manifest and its files. Nothing in it is run, and nothing out of it is followed."""

from dataclasses import dataclass
from pathlib import Path

from segrt.runtime.bundle.manifest import File, Manifest, Member, Variant
from segrt.runtime.bundle.members import member_manifest
from segrt.runtime.bundle.tf32_variant import tf32_of
from segrt.runtime.errors import BundleError
from segrt.runtime.files.file_check import check_file, plain_file
from segrt.runtime.inference.onnx_scan import refuse_external_data
from segrt.runtime.inference.tf32 import FP32, TF32, executable

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Bundle:
    """A bundle's folder and its manifest."""

    folder: Path
    manifest: Manifest

    @property
    def is_here(self) -> bool:
        """Whether its files are on this device; a server's are not."""
        return True

    @property
    def where(self) -> str:
        """What errors call it."""
        return str(self.folder)

    def path(self, file: File) -> Path:
        """Return the path of `file` inside the bundle; raise BundleError when it is missing or a link."""
        return plain_file(self.folder, file.path)

    def checked(self, file: File, *, full: bool = False) -> Path:
        """Return the path of `file` after comparing its size and hash (`full`: always) with the manifest's."""
        path = self.path(file)
        check_file(path, file.size, file.sha256, full=full)
        return path

    def network(self, variant: Variant, *, full: bool = False) -> Path:
        """Return the path of the ONNX file of `variant`, its hash checked and without tensors in other files."""
        path = self.checked(variant.file, full=full)
        refuse_external_data(path)
        return path

    def member(self, member: Member) -> "Bundle":
        """Return one network of a bundle of two as the bundle that it would be alone, without golden frames."""
        return Bundle(self.folder, member_manifest(self.manifest, member))

    @property
    def parts(self) -> "tuple[Bundle, ...]":
        """The bundles of one network each that this one consists of: its members, else itself alone."""
        return tuple(self.member(member) for member in self.manifest.members) or (self,)

    @property
    def precisions(self) -> tuple[str, ...]:
        """Every precision that `variant` takes: those of the manifest, and tf32 where there is fp32."""
        return executable([variant.precision for variant in self.manifest.variants])

    def variant(self, precision: str | None = None) -> Variant:
        """Return the variant at `precision`, or the first one; raise BundleError when there is none such.

        Every bundle with an fp32 variant has a tf32 one, too, which is the same file.
        """
        variants = self.manifest.variants
        if precision is None:
            return variants[0]
        for variant in variants:
            if variant.precision == precision:
                return variant
        if precision == TF32 and TF32 in self.precisions:
            return tf32_of(self.variant(FP32))
        names = ", ".join(variant.precision for variant in variants)
        raise BundleError(f"{self.where}: has no variant of precision {precision!r}; it has {names}")
