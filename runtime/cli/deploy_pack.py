"""What `segrt deploy` carries: a pack as it is, or one made of a bundle."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segrt.runtime.cli.options import grouped
from segrt.runtime.console.printable import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from segrt.runtime.deploy.device.protocol import DeviceStatus
    from segrt.runtime.deploy.plan import NeedsOf, Options
    from segrt.runtime.deploy.ssh import Device

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
        help="Sign with this Ed25519 private key: BUNDLE's pack, and an index for devices with a pinned key.",
    ),
    click.option("--password", envvar="SEGRT_KEY_PASSWORD", hidden=True),
)


def packed(name: str, signing: Signing) -> Path:
    """Return the pack `name`, or one made of the bundle of that name or in that folder, kept in segrt's cache.

    Equal bundles and keys give the same file, so `--resume` finds it. Raises SegrtError.
    """
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.bundle.pack.writer import write_pack
    from segrt.runtime.files.atomic import make_folder
    from segrt.runtime.files.cache import cache_folder

    path = Path(name)
    if path.is_file() or (path.suffix == ".segrt" and not path.is_dir()):
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


def with_signed_index(
    options: "Options", name: str, signing: Signing, devices: "Sequence[Device]", needs_of: "NeedsOf"
) -> "Options":
    """Return options with an index of the pack, signed with --sign, where one of the devices has or gets a pinned key.

    Without --sign, and beside an --index, nothing is asked. Raises SegrtError for a pack `name` that --sign cannot
    change and no device asks an index of.
    """
    from segrt.runtime.deploy.own_index import SigningKey, with_own_index
    from segrt.runtime.deploy.rollout import in_parallel
    from segrt.runtime.errors import SegrtError

    if signing.sign is None or options.index is not None:
        return options
    statuses = [status for status in in_parallel(devices, len(devices), _status_of(options)) if status is not None]
    signed = with_own_index(options, SigningKey(signing.sign, signing.password), statuses, needs_of)
    if signed is not None:
        say(f"{signed.index}: signed with {signing.sign}")
        return signed
    if Path(name).is_file():
        raise SegrtError(
            f"--sign {signing.sign}: no device that answers has a pinned key, and {name} is no bundle; `segrt pack "
            "--sign` makes signed packs of bundles"
        )
    return options


def _status_of(options: "Options") -> "Callable[[Device], DeviceStatus | None]":
    """Return what asks a device how it is, and gives None for one that does not answer: its deployment says why."""
    from segrt.runtime.deploy.device.protocol import StatusRequest
    from segrt.runtime.deploy.host import ask_status
    from segrt.runtime.errors import SegrtError

    request = StatusRequest(root=options.root, service=options.service, manager=options.manager)

    def ask(device: "Device") -> "DeviceStatus | None":
        try:
            return ask_status(device, request)
        except SegrtError:
            return None

    return ask
