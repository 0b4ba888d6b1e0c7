"""`segrt unpack`: a pack as a bundle's folder again."""

from pathlib import Path

import click

from segrt.runtime.console.printable import say


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The bundle's folder to write.")
@click.option("--check", is_flag=True, help="Check the pack and write nothing.")
@click.option(
    "--verify-key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KEY",
    help="Refuse the pack unless it is signed with the key whose public part this is.",
)
@click.option("--overwrite", is_flag=True, help="Replace the bundle when it is there.")
def unpack(file: Path, out: Path | None, check: bool, verify_key: Path | None, overwrite: bool) -> None:
    """Unpack FILE, a pack, into the folder of a bundle: whole and with every hash right, or not at all."""
    from segrt.runtime.bundle.pack.reader import Pack
    from segrt.runtime.errors import SegrtError

    if out is not None and check:
        raise SegrtError("--check writes nothing, but --out says where to; give one of them")
    if out is None and not check:
        raise SegrtError("say where to unpack with --out DIR, or give --check to write nothing")
    with Pack(file) as pack:
        if verify_key is not None:
            pack.check_signature(verify_key)
        who = f"signed with {verify_key}" if verify_key else "signed" if pack.signature else "not signed"
        if out is None:
            pack.check()
            say(f"{file}: {pack.manifest.name}, {len(pack.index.files)} files with the right hash, {who}")
        else:
            say(f"{pack.extract(out, overwrite=overwrite)}: {pack.manifest.name}, unpacked and whole, {who}")
