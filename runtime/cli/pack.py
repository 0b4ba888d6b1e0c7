"""`segrt pack`: a bundle as one file."""

from pathlib import Path

import click

from segrt.runtime.console.printable import say
from segrt.runtime.console.words import comma_separated, counted


@click.command()
@click.argument("bundle")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The pack to write, as cam.segrt."
)
@click.option("--precision", metavar="NAMES", help="Variants to pack, comma-separated; all by default.")
@click.option(
    "--sign",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KEY",
    help="Sign with this Ed25519 private key (PEM or OpenSSH).",
)
@click.option("--password", envvar="SEGRT_KEY_PASSWORD", hidden=True)
@click.option(
    "--verify-key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KEY",
    help="Check the finished pack's signature with this public key.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file when it is there.")
def pack(
    bundle: str,
    out: Path,
    precision: str | None,
    sign: Path | None,
    password: str | None,
    verify_key: Path | None,
    overwrite: bool,
) -> None:
    """Write BUNDLE (a folder, or the name of an embedded bundle) as one file, ready to copy and to deploy.

    The file is a zip that any tool unpacks. Equal bundles give equal files, byte for byte. A key whose file has a
    password takes it from SEGRT_KEY_PASSWORD.
    """
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.bundle.pack.reader import Pack
    from segrt.runtime.bundle.pack.writer import write_pack
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.files.atomic import make_folder

    make_folder(out.absolute().parent)
    opened = read_bundle(bundle)
    written = write_pack(
        opened, out, precisions=comma_separated(precision), key=sign, password=password, overwrite=overwrite
    )
    if verify_key is not None:
        try:
            with Pack(out) as finished:
                finished.check_signature(verify_key)
        except SegrtError:
            out.unlink(missing_ok=True)
            raise
    files = counted(len(opened.manifest.golden), "golden frame")
    signed = "signed" if sign is not None else "not signed"
    say(f"{out}: {opened.manifest.name} {', '.join(written.variants)} with {files}, {signed}")
    say(f"{written.size / 1e6:.2f} MB, SHA-256 {written.sha256}")
