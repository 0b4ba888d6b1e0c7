"""Bundles that segrt keeps in its cache under a model's name, so that they are opened by it: what `segrt get` makes."""

from pathlib import Path

from segrt.runtime.bundle.bundle import MANIFEST
from segrt.runtime.bundle.names import name_problem
from segrt.runtime.files.cache import cache_folder


def kept_folder(name: str) -> Path:
    """Return where the bundle of the model `name` is kept; slashes ("hf:ORGANISATION/NAME") become dashes."""
    return cache_folder() / "bundles" / name.replace("/", "--")


def is_kept(name: str) -> bool:
    """Whether there is a bundle of that name."""
    folder = kept_folder(name)
    return name_problem(folder.name) is None and (folder / MANIFEST).is_file()


def kept_names() -> tuple[str, ...]:
    """Return the names under which there are bundles."""
    return tuple(
        sorted(manifest.parent.name.replace("--", "/") for manifest in kept_folder("x").parent.glob(f"*/{MANIFEST}"))
    )
