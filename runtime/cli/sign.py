"""`segrt sign`: what a release executes, or the key that comes next, signed for devices with a pinned key."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segrt.runtime.console.printable import say
from segrt.runtime.console.words import counted

if TYPE_CHECKING:
    from segrt.runtime.deploy.device.statements import ReleaseIndex


@click.command()
@click.argument("pack", required=False, type=click.Path(path_type=Path, dir_okay=False), metavar="[PACK]")
@click.option(
    "--key",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KEY",
    help="The Ed25519 private key (PEM or OpenSSH) whose public part is pinned, or will be.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="As cam.index."
)
@click.option(
    "--counter", type=click.IntRange(0, (1 << 62) - 1), metavar="N", help="Rises with every release of a service."
)
@click.option("--service", default="segrt-stream", show_default=True, metavar="NAME", help="The service it is for.")
@click.option("--machine", metavar="NAME", help="The architecture it is for, as aarch64; this one's by default.")
@click.option("--python", metavar="X.Y", help="The Python of the devices; this one's by default.")
@click.option("--glibc", default="2.35", show_default=True, metavar="X.Y", help="The oldest C library of the devices.")
@click.option("--wheels", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="All to be installed.")
@click.option("--fetch", is_flag=True, help="Fetch what is missing in --wheels from this machine's package index.")
@click.option("--extra", "extras", multiple=True, metavar="NAME", help="Of segrt's extras, as web; repeatable.")
@click.option("--environment", metavar="DIR", help="Instead of --wheels: a Python environment that the devices have.")
@click.option("--segrt", "version", metavar="VERSION", help="segrt's version in --environment; this one by default.")
@click.option("--expires", metavar="DATE", help="Not to be installed any more after it, as 2027-01-31.")
@click.option(
    "--new-key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KEY",
    help="Sign no pack, but that this public key takes the place of KEY.",
)
@click.option("--password", envvar="SEGRT_KEY_PASSWORD", hidden=True)
@click.option("--overwrite", is_flag=True, help="Replace FILE when it is there.")
def sign(pack: Path | None, key: Path, out: Path, **given: Any) -> None:
    """Sign everything that the release of PACK executes, or a new key (--new-key).

    A device with a pinned key (`segrt deploy --pin-key`) takes nothing else. The index lists the pack, every file in
    it, the wheel of segrt and those of all of its packages by their SHA-256, segrt's version, service and architecture,
    and a counter: a device never goes back to a smaller one unless it is told to.

    \b
    segrt sign cam.segrt --key key.pem --out cam.index --counter 7 --wheels wheels --fetch --machine aarch64
    segrt sign --new-key next.pub --key key.pem --out next.rotation
    """  # noqa: D301 (click's mark for lines to keep)
    from segrt.runtime.deploy.index_writer import signed_release, signed_rotation
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.files.atomic import make_folder, write_atomic

    if (pack is None) == (given["new_key"] is None):
        raise SegrtError("say what to sign: PACK, or --new-key KEY")
    if out.exists() and not given["overwrite"]:
        raise SegrtError(f"{out}: is already there; choose another file or add --overwrite")
    make_folder(out.absolute().parent)
    if pack is None:
        write_atomic(out, signed_rotation(given["new_key"], key, given["password"]))
        say(f"{out}: {given['new_key']} takes the place of {key}; give it to devices with --rotate-key")
        return
    index = _index(pack, given)
    write_atomic(out, signed_release(index, key, given["password"]))
    what = counted(len(index.packages), "package") if index.packages else f"the environment {index.environment}"
    say(f"{out}: {index.pack.bundle}, segrt {index.segrt}, {what}, counter {index.counter}, for {index.service}")


def _index(pack: Path, given: dict[str, Any]) -> "ReleaseIndex":
    import platform
    import sys
    from dataclasses import replace
    from importlib import metadata

    from segrt.runtime.deploy.index_writer import Target, find_packages, release_index, with_packages_of
    from segrt.runtime.errors import SegrtError

    if given["counter"] is None:
        raise SegrtError("--counter: is missing; give a number above that of the release before")
    if bool(given["wheels"]) == bool(given["environment"]):
        raise SegrtError("say what is installed: --wheels DIR, or --environment DIR for what the devices have")
    target = Target(
        given["service"],
        given["machine"] or platform.machine(),
        given["python"] or "{}.{}".format(*sys.version_info),
        given["glibc"],
    )
    index = release_index(pack, target, given["counter"], given["expires"])
    if given["environment"]:
        version = given["version"] or metadata.version("segrt")
        return replace(index, segrt=version, environment=given["environment"], extras=tuple(sorted(given["extras"])))
    packages = find_packages(given["wheels"], target, given["extras"], fetch=given["fetch"])
    return with_packages_of(index, packages, target)
