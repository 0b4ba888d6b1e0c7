"""What `segrt deploy` carries: a pack as it is, or one made of a bundle."""

import secrets
from dataclasses import dataclass
from pathlib import Path

import click

from segrt.runtime.cli.options import grouped
from segrt.runtime.console.printable import say

_FOLDER = "packs"


@dataclass(frozen=True)
class Signing:
    """The file of a private key, None for no signature, and its password."""

    sign: Path | None
    password: str | None


signing_options = grouped(
    "signing",
    Signing,
    click.option(
        "--sign",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="KEY",
        help="Sign the pack that is made of BUNDLE with this Ed25519 private key.",
    ),
    click.option("--password", envvar="SEGRT_KEY_PASSWORD", hidden=True),
)


def packed(name: str, signing: Signing) -> Path:
    """Return the pack `name`, or one made of the bundle of that name or in that folder, kept in segrt's cache.

    Equal bundles and keys give the same file, so `--resume` finds it. Raises SegrtError.
    """
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.bundle.pack.writer import write_pack
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.files.atomic import make_folder
    from segrt.runtime.files.cache import cache_folder

    path = Path(name)
    if path.is_file() or (path.suffix == ".segrt" and not path.is_dir()):
        if signing.sign is not None:
            raise SegrtError(
                f"--sign {signing.sign}: {name} is no bundle; `segrt pack --sign` makes signed packs of bundles"
            )
        return path
    folder = make_folder(cache_folder() / _FOLDER)
    bundle = read_bundle(name)
    aside = folder / f".{secrets.token_hex(8)}.segrt"
    try:
        written = write_pack(bundle, aside, key=signing.sign, password=signing.password)
        pack = folder / f"{bundle.manifest.name}-{written.sha256[:16]}.segrt"
        aside.replace(pack)
    finally:
        aside.unlink(missing_ok=True)
    signed = f"signed with {signing.sign}" if signing.sign is not None else "not signed"
    say(f"{pack}: {bundle.manifest.name} {', '.join(written.variants)}, {written.size / 1e6:.2f} MB, {signed}")
    return pack
