"""What a deployment is to do, the same for all devices, and all of its checks that need no device."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from segrt.runtime.bundle.pack.reader import Pack
from segrt.runtime.bundle.prompt_members import refuse_prompts
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.kept_records import InstallOptions, ReleaseRecord
from segrt.runtime.deploy.device.plain_names import check_root, check_service
from segrt.runtime.deploy.device.protocol import DeviceStatus, PackContent, Trust
from segrt.runtime.deploy.device.statements import ReleaseIndex
from segrt.runtime.deploy.release_trust import content_of, indexed_wheels, read_index, trust_of
from segrt.runtime.deploy.stream_arguments import StreamNeeds, refuse_secrets
from segrt.runtime.deploy.unit import UnitOptions, unit_text
from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.tf32 import executable

NeedsOf = Callable[[Sequence[str]], StreamNeeds]


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
    index: str | None = None
    pin_key: str | None = None
    rotate_key: str | None = None
    allow_downgrade: bool = False

    @property
    def install(self) -> InstallOptions:
        """What of it the device is told as such."""
        return InstallOptions(**{option.name: getattr(self, option.name) for option in fields(InstallOptions)})


@dataclass(frozen=True)
class PackFile:
    """A pack's file, its length in bytes, what it holds, and whether its network takes prompts, which no stream has."""

    path: Path
    size: int
    content: PackContent
    takes_prompts: bool = False


@dataclass(frozen=True)
class Plan:
    """A deployment, checked: the options, the pack, the text of the key that signed it, and a name for this run.

    `unit` is what the systemd units of all devices have in common. `index` lists what the release executes, `wheels`
    has the file for each of its packages, `trust` is what devices are told of it. `needs_of` returns what a stream with
    some arguments needs, those that a device has included.
    """

    options: Options
    pack: PackFile
    verify_key: str | None
    run: str
    dry_run: bool = False
    unit: UnitOptions = field(default_factory=UnitOptions)
    index: ReleaseIndex | None = None
    wheels: Mapping[str, Path] = field(default_factory=dict)
    trust: Trust = field(default_factory=Trust)
    needs_of: NeedsOf = field(default=lambda _: StreamNeeds())

    def stream_before(self, status: DeviceStatus) -> ReleaseRecord | None:
        """Return the release of a device whose stream goes on, None where a new stream begins, or none does."""
        return stream_before(self.options, status)

    def extras_wanted(self, status: DeviceStatus) -> frozenset[str]:
        """Return the extras that are asked for, and those that a device's stream needs which goes on."""
        return extras_wanted(self.options, status, self.needs_of)


def stream_before(options: Options, status: DeviceStatus) -> ReleaseRecord | None:
    """See `Plan.stream_before`."""
    services = (entry for entry in status.services if entry.service == options.service)
    before = next((entry.release for entry in services), None)
    return before if options.stream is None and before is not None and before.stream is not None else None


def extras_wanted(options: Options, status: DeviceStatus, needs_of: NeedsOf) -> frozenset[str]:
    """See `Plan.extras_wanted`."""
    before = stream_before(options, status)
    needed = () if before is None else (*before.extras, *needs_of(before.stream or ()).extras)
    return frozenset((*options.extras, *needed))


def make_plan(options: Options, run: str, *, dry_run: bool, needs_of: NeedsOf = lambda _: StreamNeeds()) -> Plan:
    """Return the plan of a deployment; `run` names it.

    Raises SegrtError for options that no device could fulfil, and for a pack that is damaged, not signed with the key,
    without the precision that is asked for or, with a stream, of a network that takes prompts, and for an index that is
    not of this pack and service.
    """
    check_names(options)
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
    pack = _checked_pack(Path(options.pack), key, streams=options.stream is not None)
    variants = executable(pack.content.variants)
    if options.precision and options.precision not in variants:
        raise SegrtError(
            f"{pack.path}: has no variant of precision {options.precision!r}; it has {', '.join(variants)}"
        )
    index, text = None, None
    if options.index:
        index, text = read_index(Path(options.index), options.service, pack.content.sha256)
    if index and options.environment:
        raise SegrtError("--environment: an index says which environment is used; leave --environment out")
    wheels = indexed_wheels(index, Path(options.wheels) if options.wheels else None) if index else {}
    keys = [Path(name) if name else None for name in (options.pin_key, options.rotate_key)]
    trust = trust_of(text, *keys, allow_downgrade=options.allow_downgrade)
    return Plan(options, pack, key.read_text() if key else None, run, dry_run, unit, index, wheels, trust, needs_of)


def check_names(options: Options) -> None:
    """Raise SegrtError for a service or root folder that is no name or path."""
    try:
        check_service(options.service)
        check_root(options.root)
    except Failure as failure:
        raise SegrtError(str(failure)) from None


def _checked_pack(path: Path, key: Path | None, *, streams: bool) -> PackFile:
    with Pack(path) as pack:
        if streams:
            refuse_prompts(pack.manifest, str(path), "deploy --stream")
        if key is not None:
            pack.check_signature(key)
        pack.check()
        return PackFile(path, path.stat().st_size, content_of(pack), pack.manifest.takes_prompts)
