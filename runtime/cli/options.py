"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from segrt.runtime.console.quantities import SHARE
from segrt.runtime.threads import MOST_THREADS

THREADS = click.IntRange(0, MOST_THREADS)
_Command = TypeVar("_Command", bound=Callable[..., Any])


def backend_options(command: _Command) -> _Command:
    """Add --backend, --precision and --threads, and the three that say how engines are taken.

    Those three are no arguments of the command: they change the engine policy for as long as it runs.
    """
    for option in (
        engine_option("--trust-engine", "trust", "Run engines that were not built on this device; they are code."),
        engine_option("--no-build", "build", "Fail rather than build an engine that does not fit.", value=False),
        engine_dir_option,
        click.option("--threads", type=THREADS, default=0, help="CPU threads; 0 means the default."),
        click.option("--precision", metavar="NAME", help="Variant to use, fp32 for instance; the first by default."),
        click.option(
            "--backend",
            metavar="NAME",
            default="auto",
            show_default=True,
            help="What executes it: auto, tensorrt, onnxruntime.",
        ),
    ):
        command = option(command)
    return command


def engine_dir_option(command: _Command) -> _Command:
    """Add --engine-dir, which changes the engine policy."""
    return click.option(
        "--engine-dir",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        expose_value=False,
        callback=_policy_changer("engine_dir"),
        help="Where TensorRT's engines lie; segrt's cache by default.",
    )(command)


def engine_option(name: str, field: str, text: str, *, value: bool = True) -> Callable[[_Command], _Command]:
    """Return an option without an argument that sets `field` of the engine policy to `value`."""
    changer = _policy_changer(field)

    def set_value(context: click.Context, parameter: click.Parameter, given: bool) -> None:
        changer(context, parameter, value if given else None)

    return click.option(name, is_flag=True, expose_value=False, callback=set_value, help=text)


def _policy_changer(field: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def change(context: click.Context, parameter: click.Parameter, value: Any) -> None:  # noqa: ARG001 (click's)
        if value is not None and not context.resilient_parsing:
            from segrt.runtime.inference.engine_policy import change_policy

            context.call_on_close(change_policy(**{field: value}))

    return change


def threshold_options(command: _Command) -> _Command:
    """Add --score-threshold and --overlap-threshold, which replace the bundle's own."""
    for name in ("overlap", "score"):
        command = click.option(f"--{name}-threshold", type=SHARE, help=f"Replace the bundle's {name} threshold.")(
            command
        )
    return command
