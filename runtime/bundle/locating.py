"""Finds bundles: a folder, a pack, the name of an embedded one, or of one that `segrt get` has kept."""

from pathlib import Path

from segrt.runtime.bundle.bundle import MANIFEST, Bundle
from segrt.runtime.bundle.kept_bundles import is_kept, kept_folder, kept_names
from segrt.runtime.bundle.manifest_parsing import parse_manifest
from segrt.runtime.console.suggestions import suggestion
from segrt.runtime.errors import BundleError
from segrt.runtime.files.reading import exists, is_folder, is_regular, read_bytes
from segrt.runtime.files.uri import redact, scheme_of

_MAX_MANIFEST = 64 << 20


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
        data = read_bytes(path, _MAX_MANIFEST)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); copy the bundle again") from None
    return Bundle(folder, parse_manifest(data, str(path)))


def locate(path_or_name: str | Path) -> Path:
    """Return the folder of the bundle at a path, or of the embedded or kept one of that name; raise BundleError.

    A pack is unpacked into the cache first.
    """
    path = Path(path_or_name)
    if isinstance(path_or_name, str) and scheme_of(path_or_name) is not None and not exists(path):
        raise BundleError(f"{redact(path_or_name)}: is an address, but this takes a bundle's files; give its folder")
    if exists(path / MANIFEST):
        return path
    names = embedded_names()
    if str(path_or_name) in names:
        return _models() / str(path_or_name)
    if not exists(path) and is_kept(str(path_or_name)):
        return kept_folder(str(path_or_name))
    if is_regular(path):
        from segrt.runtime.bundle.pack.reader import is_pack
        from segrt.runtime.bundle.pack.unpacked import unpacked

        if is_pack(path):
            return unpacked(path)
    remedy = f"give a bundle's folder or one of {', '.join(names)}" if names else "give a bundle's folder"
    if is_folder(path):
        raise BundleError(f"{path}: is no bundle, it has no {MANIFEST}; {remedy}")
    if is_regular(path):
        raise BundleError(f"{path}: is a file, not a bundle; {remedy} (`segrt adopt` makes a bundle of an ONNX file)")
    meant = suggestion(str(path_or_name), [*names, *_beside(path), *kept_names()])
    near = f"did you mean {meant!r}? Else " if meant is not None else _remedy_for_name(str(path_or_name))
    raise BundleError(f"{path}: there is no such bundle; {near}{remedy}")


def _remedy_for_name(name: str) -> str:
    """Return what to do where `name` may be a model's, which have no slash and no suffix of a file; else nothing."""
    may_be_model = name.startswith("hf:") or ("/" not in name and not name.startswith(".") and not Path(name).suffix)
    return f"`segrt get {name}` fetches it where it is a name of `segrt models`; else " if may_be_model else ""


def embedded_names() -> tuple[str, ...]:
    """Return the names of the bundles that come with segrt."""
    return tuple(sorted(manifest.parent.name for manifest in _models().glob(f"*/{MANIFEST}")))


def _beside(path: Path) -> list[str]:
    """Return the bundles and packs in the folder that `path` would lie in, as the user would write them."""
    try:
        entries = sorted(path.parent.iterdir())
    except OSError:
        return []
    return [str(entry) for entry in entries if entry.suffix == ".segrt" or exists(entry / MANIFEST)]


def _models() -> Path:
    return Path(__file__).resolve().parent.parent / "models"
