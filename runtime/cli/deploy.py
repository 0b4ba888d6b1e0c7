"""`segrt deploy`: a pack onto devices, with a check and a way back."""

import secrets
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from segrt.runtime.cli.deploy_pack import Signing, packed, signing_options, with_signed_index
from segrt.runtime.console.printable import say
from segrt.runtime.console.quantities import DURATION
from segrt.runtime.console.tables import print_table
from segrt.runtime.console.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segrt.runtime.deploy.host import Outcome
    from segrt.runtime.deploy.plan import Options, Plan
    from segrt.runtime.deploy.ssh import Device
    from segrt.runtime.deploy.stream_arguments import StreamNeeds


@click.command()
@click.argument("names", nargs=-1, metavar="BUNDLE|PACK USER@HOST...")
@click.option(
    "--hosts", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="More devices, one a line."
)
@click.option("--service", default="segrt-stream", show_default=True, metavar="NAME", help="The service on the device.")
@click.option(
    "--stream", metavar="ARGS", help="What `segrt stream` gets after the bundle, in quotes; kept on upgrades."
)
@click.option("--parallel", type=click.IntRange(1, 256), default=4, show_default=True, metavar="N", help="At a time.")
@click.option("--dry-run", is_flag=True, help="Ask the devices, say what would be done, change nothing.")
@click.option("--resume", is_flag=True, help="Go on where the last rollout stopped; what goes where may be left out.")
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
@signing_options
@click.option("--verify-key", type=click.Path(path_type=Path), metavar="KEY", help="Refuse packs not signed with it.")
@click.option(
    "--index", type=click.Path(path_type=Path), metavar="FILE", help="Signed list of what PACK's release executes."
)
@click.option(
    "--pin-key", type=click.Path(path_type=Path), metavar="KEY", help="Take only what this key signed, from now on."
)
@click.option(
    "--rotate-key", type=click.Path(path_type=Path), metavar="FILE", help="The pinned key's word for its successor."
)
@click.option("--allow-downgrade", is_flag=True, help="Take an index with a smaller counter than the device has seen.")
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
def deploy(names: tuple[str, ...], hosts: Path | None, signing: Signing, **given: Any) -> None:
    """Bring a BUNDLE or PACK to devices over ssh, and let it run there only if it proves itself.

    A bundle is packed first, into segrt's cache, and signed with --sign, as is the index that devices with a pinned
    key ask for. On each device: segrt is installed into an environment of its own, the pack is copied (what is there
    already is not copied again) and unpacked beside what runs, its engine is built and its golden frames are run, all
    at low priority; then a link is switched and the service started anew. A device on which any of that fails, or
    whose service is not healthy within --grace, keeps or gets back what it had, and says why. Exit code 1 when a
    device failed.

    \b
    segrt deploy street-panoptic pi@cam1 --stream "0 --sink http://127.0.0.1:8080"
    segrt deploy cam.segrt pi@cam1 pi@cam2 --stream "rtsp://10.0.0.7/a --sink out.mp4 --keep 2GB"
    segrt deploy --status pi@cam1 pi@cam2
    segrt deploy --rollback pi@cam1
    segrt deploy cam.segrt pi@cam1 --index cam.index --wheels wheels --pin-key key.pub
    """  # noqa: D301 (click's mark for lines to keep)
    from segrt.runtime.deploy.plan import check_names
    from segrt.runtime.errors import SegrtError

    devices = [*names, *(_listed(hosts) if hosts else [])]
    if len([mode for mode in ("ask", "rollback", "resume") if given[mode]]) > 1:
        raise SegrtError("give one of --status, --rollback and --resume")
    pace = _Pace(given["parallel"], given["dry_run"])
    if given["ask"] or given["rollback"]:
        if not devices:
            raise SegrtError("say which devices: segrt deploy --status USER@HOST...")
        options = _options("-", {**given, "stream": None})
        check_names(options)
        (_show if given["ask"] else _roll_back)(options, devices, pace)
        return
    if given["resume"] and not names:
        _resume(pace)
        return
    if len(devices) < 2:
        raise SegrtError("say what goes where: segrt deploy BUNDLE USER@HOST...")
    options = _options(devices[0], given)
    check_names(options)
    options = replace(options, pack=str(packed(devices[0], signing).absolute()))
    options = with_signed_index(options, devices[0], signing, _devices(devices[1:], options), _needs_of_device)
    _deploy(options, devices[1:], secrets.token_hex(8), pace)


class _Pace(NamedTuple):
    """How many devices at a time, and whether they are only asked."""

    parallel: int
    dry_run: bool


def _listed(path: Path) -> list[str]:
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.files.reading import read_bytes

    try:
        lines = read_bytes(path).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise SegrtError(f"{path}: cannot be read ({why}); give a file with a device in each line") from None
    return [word for word in (line.split("#")[0].strip() for line in lines) if word]


def _options(pack: str, given: dict[str, Any]) -> "Options":
    from segrt.runtime.deploy.plan import Options
    from segrt.runtime.deploy.stream_arguments import split_words

    stream = split_words(given["stream"]) if given["stream"] is not None else None
    needed = _needs(stream).extras if stream is not None else ()
    files = {name: given[name] for name in ("wheels", "verify_key", "index", "pin_key", "rotate_key")}
    taken_over: dict[str, Any] = {name: str(path.absolute()) if path else None for name, path in files.items()}
    taken_over |= {
        name: given[name]
        for name in (
            "service", "root", "manager", "sudo", "ssh_config", "environment", "backend", "precision", "budget",
            "frames", "offline", "build", "grace", "health", "keep", "user", "memory", "groups", "retries",
            "allow_downgrade",
        )
    }  # fmt: skip
    extras = tuple(sorted({*given["extras"], *needed}))
    return Options(pack=str(Path(pack).absolute()), stream=stream, extras=extras, **taken_over)


def _plan(options: "Options", run: str, dry_run: bool) -> "Plan":
    """Check everything that can be checked without a device."""
    from segrt.runtime.deploy.plan import make_plan
    from segrt.runtime.profiling.budget import parse_budget

    if options.budget:
        parse_budget(options.budget)
    if options.stream is not None:
        _needs(options.stream)
    return make_plan(options, run, dry_run=dry_run, needs_of=_needs_of_device)


def _needs(words: "Sequence[str]", *, of_device: bool = False) -> "StreamNeeds":
    """Return what a stream needs; raise SegrtError for arguments that `segrt stream` would not take.

    Of a stream that a device has already, those count that are understood.
    """
    from segrt.runtime.cli.stream import stream
    from segrt.runtime.deploy.stream_arguments import StreamWords, needs_of, refuse_relative_zones
    from segrt.runtime.errors import SegrtError

    try:
        with stream.make_context("stream", ["BUNDLE", *words], resilient_parsing=of_device) as context:
            given = context.params
            if not of_device:
                refuse_relative_zones(given.get("zones"))
            return needs_of(StreamWords.of(given))
    except click.UsageError as error:
        raise SegrtError(f"--stream: {error.format_message()} See `segrt stream --help`") from None
    except click.exceptions.Exit:
        raise SegrtError("--stream: holds --help, which streams nothing; leave it out") from None


def _needs_of_device(words: "Sequence[str]") -> "StreamNeeds":
    return _needs(words, of_device=True)


def _devices(names: list[str], options: "Options") -> "list[Device]":
    from segrt.runtime.deploy.ssh import Device
    from segrt.runtime.errors import SegrtError

    config = options.ssh_config
    if config is not None and not Path(config).is_file():
        raise SegrtError(f"--ssh-config: {config} does not exist; give a file in the form of ~/.ssh/config")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SegrtError(f"{twice[0]} is given twice; name each device once")
    return [Device(name, config=config, sudo=options.sudo) for name in names]


def _deploy(options: "Options", names: list[str], run: str, pace: _Pace) -> None:
    from segrt.runtime.deploy import host
    from segrt.runtime.deploy.display import open_display
    from segrt.runtime.deploy.rollout import roll_out
    from segrt.runtime.deploy.rollout_record import Rollout, write_record

    devices = _devices(names, options)
    plan = _plan(options, run, pace.dry_run)
    if not plan.dry_run:
        write_record(Rollout(run=run, options=options, devices=tuple(names)))
    with open_display(names) as display:
        outcomes = roll_out(devices, pace.parallel, display, lambda device, report: host.deploy(device, plan, report))
    if not plan.dry_run:
        done = tuple(outcome.device for outcome in outcomes if outcome.succeeded)
        write_record(Rollout(run=run, options=options, devices=tuple(names), done=done))
    content = plan.pack.content
    remedy = "" if plan.dry_run else "`segrt deploy --resume` tries again"
    _report(f"{content.bundle} {', '.join(content.variants)} from {plan.pack.path.name}", outcomes, remedy)


def _resume(pace: _Pace) -> None:
    from segrt.runtime.deploy.rollout_record import read_record
    from segrt.runtime.errors import SegrtError

    last = read_record()
    if not last.left:
        raise SegrtError(f"the last rollout is complete: {counted(len(last.devices), 'device')} have it")
    _deploy(last.options, list(last.left), last.run, pace)


def _roll_back(options: "Options", names: list[str], pace: _Pace) -> None:
    from segrt.runtime.deploy import host
    from segrt.runtime.deploy.display import open_display
    from segrt.runtime.deploy.rollout import roll_out

    run = secrets.token_hex(8)
    devices = _devices(names, options)
    with open_display(names) as display:
        outcomes = roll_out(
            devices, pace.parallel, display, lambda device, report: host.roll_back(device, options, run, report)
        )
    _report("back to the release before", outcomes)


def _show(options: "Options", names: list[str], pace: _Pace) -> None:
    from segrt.runtime.deploy.device.protocol import StatusRequest
    from segrt.runtime.deploy.host import ask_status
    from segrt.runtime.deploy.rollout import in_parallel, unexpected
    from segrt.runtime.deploy.status_table import COLUMNS, status_rows
    from segrt.runtime.errors import CheckFailed, SegrtError

    request = StatusRequest(root=options.root, manager=options.manager)
    failed: list[str] = []

    def rows_of(device: "Device") -> list[list[str]]:
        try:
            return status_rows(device.name, ask_status(device, request))
        except SegrtError as error:
            failed.append(f"{device.name}: {error}")
        except Exception as error:  # one device is one row
            failed.append(f"{device.name}: {unexpected(error)}")
        return [[device.name, "-", "UNREACHABLE", *[""] * (len(COLUMNS) - 3)]]

    rows = [row for part in in_parallel(_devices(names, options), pace.parallel, rows_of) for row in part]
    print_table("What the devices run", COLUMNS, rows)
    for line in failed:
        say(f"segrt: error: {line}", err=True)
    if failed:
        raise CheckFailed(f"{len(failed)} of {counted(len(names), 'device')} did not answer")


def _report(title: str, outcomes: "list[Outcome]", remedy: str = "") -> None:
    """Print what became of each device; raise CheckFailed, with the remedy if there is one, when any failed."""
    from segrt.runtime.deploy.display import outcome_rows
    from segrt.runtime.errors import CheckFailed

    print_table(title, ["device", "", ""], outcome_rows(outcomes))
    failed = [outcome for outcome in outcomes if not outcome.succeeded]
    for outcome in failed:
        if outcome.details.strip():
            say(f"{outcome.device}:\n{outcome.details}")
    for outcome in failed:
        say(f"segrt: error: {outcome.device}: {outcome.line}", err=True)
    if failed:
        failures = f"{len(failed)} of {counted(len(outcomes), 'device')} failed"
        raise CheckFailed(f"{failures}; {remedy}" if remedy else failures)
