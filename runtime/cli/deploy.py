"""`segrt deploy`: a pack onto devices, with a check and a way back."""

import secrets
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segrt.runtime.console.quantities import DURATION
from segrt.runtime.console.tables import print_table
from segrt.runtime.console.words import counted

if TYPE_CHECKING:
    from segrt.runtime.deploy.host import Outcome
    from segrt.runtime.deploy.plan import Options, Plan
    from segrt.runtime.deploy.ssh import Device


@click.command()
@click.argument("names", nargs=-1, metavar="PACK USER@HOST...")
@click.option(
    "--hosts", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="More devices, one a line."
)
@click.option("--service", default="segrt-stream", show_default=True, metavar="NAME", help="The service on the device.")
@click.option(
    "--stream", metavar="ARGS", help="What `segrt stream` gets after the bundle, in quotes; kept on upgrades."
)
@click.option("--parallel", type=click.IntRange(1, 256), default=4, show_default=True, metavar="N", help="At a time.")
@click.option("--dry-run", is_flag=True, help="Ask the devices, say what would be done, change nothing.")
@click.option("--resume", is_flag=True, help="Go on where the last rollout stopped; PACK and devices may be left out.")
@click.option("--status", "ask", is_flag=True, help="Show what the devices run; give devices only.")
@click.option("--rollback", is_flag=True, help="Go back to the release before; give devices only.")
@click.option("--grace", type=DURATION, default="60s", show_default=True, metavar="TIME", help="To be healthy in.")
@click.option(
    "--health",
    type=click.Choice(["frames", "running"]),
    default="frames",
    show_default=True,
    help="Healthy is: gives results, or only runs (while the camera is away).",
)
@click.option("--budget", metavar="MS@PCT", help="Latency to keep on the device, as 33ms@p99.")
@click.option("--frames", type=click.IntRange(min=10), default=100, show_default=True, help="To measure --budget with.")
@click.option("--verify-key", type=click.Path(path_type=Path), metavar="KEY", help="Refuse packs not signed with it.")
@click.option("--wheels", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Wheels of segrt.")
@click.option("--offline", is_flag=True, help="The device has no package index: fetch what segrt needs here, copy it.")
@click.option("--extra", "extras", multiple=True, metavar="NAME", help="Of segrt's extras, as web; repeatable.")
@click.option("--environment", metavar="DIR", help="Use this Python environment of the device; install none.")
@click.option("--root", default="auto", metavar="DIR", help="Folder on the device.  [default: /opt/segrt or ~/segrt]")
@click.option(
    "--manager",
    type=click.Choice(["auto", "systemd", "systemd-user", "supervisor"]),
    default="auto",
    show_default=True,
    help="What starts the service.",
)
@click.option("--user", metavar="NAME", help="Who the service is; by default systemd makes up a user.")
@click.option("--memory", default="2G", show_default=True, metavar="SIZE", help="The service's limit.")
@click.option("--group", "groups", multiple=True, default=("video",), show_default=True, help="Of the service.")
@click.option("--sudo", is_flag=True, help="Become root on the device with sudo, which must not ask.")
@click.option("--ssh-config", type=click.Path(dir_okay=False), metavar="FILE", help="Instead of ssh's own.")
@click.option("--keep", type=click.IntRange(2), default=3, show_default=True, metavar="N", help="Releases to keep.")
@click.option("--backend", metavar="NAME", default="auto", show_default=True, help="What executes the bundle.")
@click.option("--precision", metavar="NAME", help="Variant to use; the first by default.")
@click.option("--build/--no-build", default=True, help="Build an engine where the device runs TensorRT.")
@click.option("--retries", type=click.IntRange(0, 10), default=2, show_default=True, help="After a lost connection.")
def deploy(names: tuple[str, ...], hosts: Path | None, **given: Any) -> None:
    """Bring PACK to devices over ssh, and let it run there only if it proves itself.

    On each device: segrt is installed into an environment of its own, the pack is copied (what is there already is
    not copied again) and unpacked beside what runs, its engine is built and its golden frames are run, all at low
    priority; then a link is switched and the service started anew. A device on which any of that fails, or whose
    service is not healthy within --grace, keeps or gets back what it had, and says why. Exit code 1 when a device
    failed.

    \b
    segrt deploy cam.segrt pi@cam1 pi@cam2 --stream "rtsp://10.0.0.7/a --sink out.mp4 --keep 2GB"
    segrt deploy --status pi@cam1 pi@cam2
    segrt deploy --rollback pi@cam1
    """  # noqa: D301 (click's mark for lines to keep)
    from segrt.runtime.errors import SegrtError

    devices = [*names, *(_listed(hosts) if hosts else [])]
    modes = [mode for mode in ("ask", "rollback", "resume") if given[mode]]
    if len(modes) > 1:
        raise SegrtError("give one of --status, --rollback and --resume")
    if given["ask"] or given["rollback"]:
        if not devices:
            raise SegrtError("say which devices: segrt deploy --status USER@HOST...")
        _show(devices, given) if given["ask"] else _roll_back(devices, given)
        return
    if given["resume"] and not names:
        _resume(given)
        return
    if len(devices) < 2:
        raise SegrtError("say what goes where: segrt deploy PACK USER@HOST...")
    _deploy(_options(devices[0], given), devices[1:], secrets.token_hex(8), given)


def _listed(path: Path) -> list[str]:
    from segrt.runtime.errors import SegrtError

    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SegrtError(f"{path}: cannot be read ({error}); give a file with a device in each line") from None
    return [word for word in (line.split("#")[0].strip() for line in lines) if word]


def _options(pack: str, given: dict[str, Any]) -> "Options":
    from segrt.runtime.deploy.plan import Options

    stream = _words(given["stream"]) if given["stream"] is not None else None
    wheels = given["wheels"] or (Path("dist") if list(Path("dist").glob("segrt-*.whl")) else None)
    return Options(
        pack=str(Path(pack).absolute()),
        stream=tuple(stream) if stream is not None else None,
        extras=tuple(sorted({*given["extras"], *_extras(stream or [])})),
        wheels=str(Path(wheels).absolute()) if wheels else None,
        verify_key=str(given["verify_key"].absolute()) if given["verify_key"] else None,
        **{
            name: given[name]
            for name in (
                "service", "root", "manager", "sudo", "ssh_config", "environment", "backend", "precision", "budget",
                "frames", "offline", "build", "grace", "health", "keep", "user", "memory", "groups", "retries",
            )
        },
    )  # fmt: skip


def _words(text: str) -> list[str]:
    from segrt.runtime.errors import SegrtError

    try:
        return shlex.split(text)
    except ValueError as error:
        raise SegrtError(
            f"--stream: {text!r} cannot be split into words ({str(error).lower()}); close every quote"
        ) from None


def _extras(stream: list[str]) -> set[str]:
    sinks = {"http://": "web", "mqtt://": "mqtt", "mqtts://": "mqtt"}
    values = [word for before, word in zip(["", *stream], stream, strict=False) if before == "--sink"]
    values += [word.removeprefix("--sink=") for word in stream if word.startswith("--sink=")]
    return {extra for scheme, extra in sinks.items() if any(value.startswith(scheme) for value in values)}


def make_plan(options: "Options", run: str, dry_run: bool) -> "Plan":
    """Check everything that can be checked without a device."""
    from segrt.runtime.bundle.manifest import Variant
    from segrt.runtime.bundle.pack.reader import Pack
    from segrt.runtime.deploy.plan import PackFacts, Plan
    from segrt.runtime.deploy.unit import UnitOptions, unit_text
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.profiling.budget import parse_budget

    unit = UnitOptions(
        name=options.service, description=f"segrt: {options.service}", user=options.user, groups=options.groups,
        memory=options.memory,
    )  # fmt: skip
    unit_text(unit, ["/bin/sh"])
    if options.budget:
        parse_budget(options.budget)
    if options.stream is not None:
        _check_stream(options.stream)
    if options.wheels and not Path(options.wheels).is_dir():
        raise SegrtError(f"--wheels: {options.wheels} does not exist; give the folder that `make wheels` writes")
    path = Path(options.pack)
    key = None
    with Pack(path) as pack:
        if options.verify_key:
            pack.check_signature(Path(options.verify_key))
            key = Path(options.verify_key).read_text()
        pack.check()
        variants: tuple[Variant, ...] = pack.manifest.variants
        names = tuple(variant.precision for variant in variants)
        if options.precision and options.precision not in names:
            raise SegrtError(f"{path}: has no variant of precision {options.precision!r}; it has {', '.join(names)}")
        facts = PackFacts(path, path.stat().st_size, pack.file_sha256(), pack.manifest.name, names)
    return Plan(options, facts, key, run, dry_run, unit)


def _check_stream(words: tuple[str, ...]) -> None:
    """Raise SegrtError for arguments that `segrt stream` would not take."""
    from segrt.runtime.cli.stream import stream
    from segrt.runtime.deploy.unit import refuse_secrets
    from segrt.runtime.errors import SegrtError

    try:
        with stream.make_context("stream", ["BUNDLE", *words]):
            pass
    except click.UsageError as error:
        raise SegrtError(f"--stream: {error.format_message()} See `segrt stream --help`") from None
    refuse_secrets(words)


def _devices(names: list[str], given: dict[str, Any]) -> "list[Device]":
    from segrt.runtime.deploy.ssh import Device
    from segrt.runtime.errors import SegrtError

    config = given["ssh_config"]
    if config is not None and not Path(config).is_file():
        raise SegrtError(f"--ssh-config: {config} does not exist; give a file in the form of ~/.ssh/config")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SegrtError(f"{twice[0]} is given twice; name each device once")
    return [Device(name, config=given["ssh_config"], sudo=given["sudo"]) for name in names]


def _deploy(options: "Options", names: list[str], run: str, given: dict[str, Any]) -> None:
    from segrt.runtime.deploy import host
    from segrt.runtime.deploy.display import watcher
    from segrt.runtime.deploy.rollout import roll_out
    from segrt.runtime.deploy.rollout_record import Rollout, write_record

    devices = _devices(names, given)
    plan = make_plan(options, run, given["dry_run"])
    if not plan.dry_run:
        write_record(Rollout(run=run, options=options, devices=tuple(names)))
    with watcher(names) as shown:
        outcomes = roll_out(devices, given["parallel"], shown, lambda device, say: host.deploy(device, plan, say))
    if not plan.dry_run:
        done = tuple(outcome.device for outcome in outcomes if outcome.good)
        write_record(Rollout(run=run, options=options, devices=tuple(names), done=done))
    pack = plan.pack
    remedy = "" if plan.dry_run else "`segrt deploy --resume` tries again"
    _report(f"{pack.bundle} {', '.join(pack.variants)} from {pack.path.name}", outcomes, remedy)


def _resume(given: dict[str, Any]) -> None:
    from segrt.runtime.deploy.rollout_record import read_record
    from segrt.runtime.errors import SegrtError

    last = read_record()
    if not last.left:
        raise SegrtError(f"the last rollout is complete: {counted(len(last.devices), 'device')} have it")
    given = {**given, "ssh_config": last.options.ssh_config, "sudo": last.options.sudo}
    _deploy(last.options, list(last.left), last.run, given)


def _roll_back(names: list[str], given: dict[str, Any]) -> None:
    from segrt.runtime.deploy import host
    from segrt.runtime.deploy.display import watcher
    from segrt.runtime.deploy.plan import PackFacts, Plan
    from segrt.runtime.deploy.rollout import roll_out

    options = _options("-", {**given, "stream": None})
    plan = Plan(options, PackFacts(Path("-"), 0, "", "", ()), None, secrets.token_hex(8))
    with watcher(names) as shown:
        outcomes = roll_out(
            _devices(names, given), given["parallel"], shown, lambda device, say: host.roll_back(device, plan, say)
        )
    _report("back to the release before", outcomes)


def _show(names: list[str], given: dict[str, Any]) -> None:
    from segrt.runtime.deploy import host
    from segrt.runtime.deploy.rollout import at_once
    from segrt.runtime.deploy.status_table import COLUMNS, status_rows
    from segrt.runtime.errors import CheckFailed, SegrtError

    failed: list[str] = []

    def one(device: "Device") -> list[list[str]]:
        try:
            return status_rows(device.name, host.status(device, {"root": given["root"], "manager": given["manager"]}))
        except SegrtError as error:
            failed.append(f"{device.name}: {error}")
            return [[device.name, "-", "UNREACHABLE", "", "", "", "", ""]]

    rows = [row for part in at_once(_devices(names, given), given["parallel"], one) for row in part]
    print_table("What the devices run", COLUMNS, rows)
    for line in failed:
        click.echo(f"segrt: error: {line}", err=True)
    if failed:
        raise CheckFailed(f"{len(failed)} of {counted(len(names), 'device')} did not answer")


def _report(title: str, outcomes: "list[Outcome]", remedy: str = "") -> None:
    """Print what became of each device; raise CheckFailed, with the remedy if there is one, when any failed."""
    from segrt.runtime.deploy.display import outcome_rows
    from segrt.runtime.errors import CheckFailed

    print_table(title, ["device", "", ""], outcome_rows(outcomes))
    failed = [outcome for outcome in outcomes if not outcome.good]
    for outcome in failed:
        if outcome.details.strip():
            click.echo(f"{outcome.device}:\n{outcome.details}")
    for outcome in failed:
        click.echo(f"segrt: error: {outcome.device}: {outcome.line}", err=True)
    if failed:
        failures = f"{len(failed)} of {counted(len(outcomes), 'device')} failed"
        raise CheckFailed(f"{failures}; {remedy}" if remedy else failures)
