"""What a deployment is to do, the same for all devices, and all of its checks that need no device."""

from dataclasses import dataclass, field, fields
from pathlib import Path

from segrt.runtime.bundle.pack.reader import Pack
from segrt.runtime.deploy.device.kept_records import InstallOptions
from segrt.runtime.deploy.device.protocol import PackContent
from segrt.runtime.deploy.stream_arguments import refuse_secrets
from segrt.runtime.deploy.unit import UnitOptions, unit_text
from segrt.runtime.errors import SegrtError


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user asked for, in a form that can be kept for `--resume`; paths are absolute."""

    pack: str
    service: str = "segrt-stream"
    stream: tuple[str, ...] | None = None
    root: str = "auto"
    manager: str = "auto"
    sudo: bool = False
    ssh_config: str | None = None
    wheels: str | None = None
    offline: bool = False
    environment: str | None = None
    extras: tuple[str, ...] = ()
    verify_key: str | None = None
    backend: str = "auto"
    precision: str | None = None
    budget: str | None = None
    frames: int = 100
    build: bool = True
    grace: float = 60.0
    health: str = "frames"
    keep: int = 3
    user: str | None = None
    memory: str = "2G"
    groups: tuple[str, ...] = ("video",)
    retries: int = 2

    @property
    def install(self) -> InstallOptions:
        """What of it the device is told as such."""
        return InstallOptions(**{option.name: getattr(self, option.name) for option in fields(InstallOptions)})


@dataclass(frozen=True)
class PackFile:
    """A pack's file, its length in bytes, and what it holds."""

    path: Path
    size: int
    content: PackContent


@dataclass(frozen=True)
class Plan:
    """A deployment, checked: the options, the pack, the text of the key that signed it, and a name for this run.

    `unit` is what the systemd units of all devices have in common.
    """

    options: Options
    pack: PackFile
    verify_key: str | None
    run: str
    dry_run: bool = False
    unit: UnitOptions = field(default_factory=UnitOptions)


def wheels_folder(given: Path | None) -> str | None:
    """Return the folder of wheels: the one that is `given`, else `dist` where it has some, else None."""
    folder = given or Path("dist")
    return str(folder.absolute()) if given or any(folder.glob("segrt-*.whl")) else None


def make_plan(options: Options, run: str, *, dry_run: bool) -> Plan:
    """Return the plan of a deployment; `run` names it.

    Raises SegrtError for options that no device could fulfil, and for a pack that is damaged, not signed with the key
    or without the precision that is asked for.
    """
    unit = UnitOptions(
        name=options.service, description=f"segrt: {options.service}", user=options.user, groups=options.groups,
        memory=options.memory,
    )  # fmt: skip
    unit_text(unit, ["/bin/sh"])
    if options.stream is not None:
        refuse_secrets(options.stream)
    if options.wheels and not Path(options.wheels).is_dir():
        raise SegrtError(f"--wheels: {options.wheels} does not exist; give the folder that `make wheels` writes")
    key = Path(options.verify_key) if options.verify_key else None
    pack = _checked_pack(Path(options.pack), key)
    variants = pack.content.variants
    if options.precision and options.precision not in variants:
        raise SegrtError(
            f"{pack.path}: has no variant of precision {options.precision!r}; it has {', '.join(variants)}"
        )
    return Plan(options, pack, key.read_text() if key else None, run, dry_run, unit)


def _checked_pack(path: Path, key: Path | None) -> PackFile:
    with Pack(path) as pack:
        if key is not None:
            pack.check_signature(key)
        pack.check()
        variants = tuple(variant.precision for variant in pack.manifest.variants)
        return PackFile(path, path.stat().st_size, PackContent(pack.file_sha256(), pack.manifest.name, variants))
