"""Opens a bundle's folder: reads the manifest, finds its files, never runs or follows anything out of it."""

from dataclasses import dataclass
from pathlib import Path

from segrt.runtime.bundle.hashes import check_file
from segrt.runtime.bundle.manifest import File, Manifest, Member, Variant
from segrt.runtime.bundle.members import member_manifest
from segrt.runtime.bundle.onnx_scan import refuse_external_data
from segrt.runtime.bundle.parsing import parse_manifest
from segrt.runtime.errors import BundleError

MANIFEST = "manifest.json"
_MAX_MANIFEST = 64 << 20


@dataclass(frozen=True)
class Bundle:
    """A bundle's folder and its manifest."""

    folder: Path
    manifest: Manifest

    def path(self, file: File) -> Path:
        """Return the path of `file` inside the bundle; raise BundleError when it is missing or a link."""
        path = self.folder
        for part in file.path.split("/"):
            path = path / part
            if path.is_symlink():
                raise BundleError(f"{path}: is a link; a bundle holds plain files only, copy the file itself")
        if not path.is_file():
            raise BundleError(f"{path}: is missing; copy the bundle again")
        return path

    def checked(self, file: File, *, full: bool = False) -> Path:
        """Return the path of `file` after comparing its size and hash (`full`: always) with the manifest's."""
        path = self.path(file)
        check_file(path, file, full=full)
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

    def variant(self, precision: str | None = None) -> Variant:
        """Return the variant at `precision`, or the first one; raise BundleError when there is none such."""
        variants = self.manifest.variants
        if precision is None:
            return variants[0]
        for variant in variants:
            if variant.precision == precision:
                return variant
        names = ", ".join(variant.precision for variant in variants)
        raise BundleError(f"{self.folder}: has no variant of precision {precision!r}; it has {names}")


def read_bundle(path_or_name: str | Path) -> Bundle:
    """Open the bundle (or pack) at a path, or an embedded one by name ("street-panoptic"), and read its manifest.

    Raises BundleError when there is no bundle or its manifest cannot be used. Hashes are checked file by file, when
    a file is first used, see `Bundle.checked`.
    """
    folder = locate(path_or_name)
    path = folder / MANIFEST
    if path.is_symlink():
        raise BundleError(f"{path}: is a link; a bundle holds plain files only, copy the file itself")
    try:
        size = path.stat().st_size
        if size > _MAX_MANIFEST:
            raise BundleError(f"{path}: has {size} bytes, which is no manifest; copy the bundle again")
        data = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); copy the bundle again") from None
    return Bundle(folder, parse_manifest(data, str(path)))


def locate(path_or_name: str | Path) -> Path:
    """Return the folder of the bundle at a path or of the embedded one by name; raise BundleError for neither.

    A pack is unpacked into the cache first.
    """
    path = Path(path_or_name)
    if (path / MANIFEST).exists():
        return path
    names = embedded_names()
    if str(path_or_name) in names:
        return _models() / str(path_or_name)
    if path.is_file():
        from segrt.runtime.bundle.pack.reader import is_pack
        from segrt.runtime.bundle.pack.unpacked import unpacked

        if is_pack(path):
            return unpacked(path)
    remedy = f"give a bundle's folder or one of {', '.join(names)}" if names else "give a bundle's folder"
    if path.is_dir():
        raise BundleError(f"{path}: is no bundle, it has no {MANIFEST}; {remedy}")
    if path.is_file():
        raise BundleError(f"{path}: is a file, not a bundle; {remedy} (`segrt adopt` makes a bundle of an ONNX file)")
    raise BundleError(f"{path}: there is no such bundle; {remedy}")


def embedded_names() -> tuple[str, ...]:
    """Return the names of the bundles that come with segrt."""
    return tuple(sorted(manifest.parent.name for manifest in _models().glob(f"*/{MANIFEST}")))


def _models() -> Path:
    return Path(__file__).resolve().parent.parent / "models"
