"""`segrt service`: the systemd unit of a stream."""

import sys
from pathlib import Path

import click

from segrt.runtime.console.quantities import DURATION


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument(
    "arguments", nargs=-1, required=True, type=click.UNPROCESSED, metavar="BUNDLE SOURCE... [STREAM OPTIONS]"
)
@click.option("--name", default="segrt-stream", show_default=True, metavar="NAME", help="The service's name.")
@click.option("--description", default="Segmentation of live video", show_default=True, metavar="TEXT")
@click.option(
    "--program", type=click.Path(dir_okay=False), metavar="FILE", help="segrt's program; this one by default."
)
@click.option(
    "--environment-file",
    metavar="FILE",
    help="Its variables, NAME=value; may be missing.  [default: /etc/segrt/NAME.env]",
)
@click.option("--user", metavar="NAME", help="Who the service is; by default systemd makes up a user.")
@click.option("--group", "groups", multiple=True, default=("video",), show_default=True, metavar="NAME")
@click.option("--memory", default="2G", show_default=True, metavar="SIZE", help="Limit on its memory.")
@click.option(
    "--watchdog", type=DURATION, default="90s", show_default=True, metavar="TIME", help="Silence that ends it."
)
@click.option("--writable", multiple=True, metavar="DIR", help="Folders that it may write beside its own; repeatable.")
@click.option("--for-user", is_flag=True, help="For your own systemd (systemctl --user) instead of the system's.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write it there instead of printing it.")
def service(
    arguments: tuple[str, ...],
    name: str,
    description: str,
    program: str | None,
    environment_file: str | None,
    user: str | None,
    groups: tuple[str, ...],
    memory: str,
    watchdog: float,
    writable: tuple[str, ...],
    for_user: bool,
    out: Path | None,
) -> None:
    """Write the systemd unit that runs `segrt stream` with these arguments.

    ${NAME} in the arguments is filled in from the environment file, which is the place for addresses with passwords.
    The working folder is /var/lib/NAME, so sinks need no path. `segrt deploy` writes and installs such a unit itself.

    \b
    segrt service street-panoptic '${CAMERA}' --sink out.mp4 --segment 10m --keep 2GB
    segrt service --name door --memory 1G /opt/models/door v4l2:///dev/video0 --sink http://127.0.0.1:8080
    """  # noqa: D301 (click's mark for lines to keep)
    from segrt.runtime.cli.stream import stream
    from segrt.runtime.deploy.stream_arguments import refuse_secrets
    from segrt.runtime.deploy.unit import UnitOptions, is_unit, unit_text
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.files.atomic import write_atomic

    with stream.make_context("stream", list(arguments)):
        pass
    refuse_secrets(arguments[1:])
    bundle, *rest = arguments
    _refuse_prompts(bundle)
    if Path(bundle).exists():
        bundle = str(Path(bundle).absolute())
    default = "%h/.config/segrt" if for_user else "/etc/segrt"
    options = UnitOptions(
        name=name,
        description=description,
        user=user,
        for_user=for_user,
        groups=groups,
        memory=memory,
        watchdog=watchdog,
        environment_file=environment_file or f"{default}/{name}.env",
        writable=writable,
        cache=f"%S/{name}/cache",
    )
    where = program or str(Path(sys.argv[0]).absolute())
    text = unit_text(options, [where, "stream", bundle, *rest])
    if out is None:
        click.echo(text, nl=False)
    else:
        if out.exists() and not is_unit(out):
            raise SegrtError(f"{out}: exists and is no unit that segrt wrote; delete it or write to another file")
        write_atomic(out, text.encode())
        click.echo(f"{out}: written; systemctl daemon-reload, then systemctl enable --now {name}")


def _refuse_prompts(bundle: str) -> None:
    """Raise SegrtError for a bundle that takes prompts, which a stream has not; one of another device is not known."""
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.bundle.prompt_members import refuse_prompts
    from segrt.runtime.errors import BundleError

    try:
        manifest = read_bundle(bundle).manifest
    except BundleError:  # the unit may be for a device that has it
        return
    refuse_prompts(manifest, bundle, "service")
