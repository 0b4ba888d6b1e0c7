"""Options that several commands share. Those of a group reach the command as one argument."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from segrt.runtime.console.quantities import SHARE, THREADS

if TYPE_CHECKING:
    from segrt.runtime.decode.rule_changes import RuleChanges
    from segrt.runtime.inference.engine_policy import EnginePolicy
    from segrt.runtime.inference.execution import Execution, WantedPlace
    from segrt.runtime.preprocess.tiling import Tiling

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Option = Callable[[Any], Any]


class BackendOption(click.Option):
    """An option whose help lists the backends that there are, those added from outside too."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option and its help."""
        from segrt.runtime.inference.backends import BACKENDS

        self.help = f"What executes it: auto, {', '.join(BACKENDS)}."
        return super().get_help_record(ctx)


ENGINE_DIR = click.option(
    "--engine-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where TensorRT's engines lie; segrt's cache by default.",
)
THREADS_OPTION = click.option("--threads", type=THREADS, default=0, help="CPU threads; 0 means the default.")
BACKEND = click.option("--backend", cls=BackendOption, metavar="NAME", default="auto", show_default=True)
DECODE = click.option(
    "--decode",
    "decode_on",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="What decodes the network's heads; auto takes the GPU where they lie there.",
)
_ENGINES = (
    ENGINE_DIR,
    click.option("--no-build", is_flag=True, help="Fail rather than build an engine that does not fit."),
    click.option("--trust-engine", is_flag=True, help="Run engines that were not built on this device; they are code."),
)


def _mapped(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[int, int], ...]:  # noqa: ARG001
    """Read VALUE=ID, comma-separated or repeated; a click callback."""
    pairs = []
    for part in (part.strip() for text in values for part in text.split(",")):
        match = re.fullmatch(r"(\d{1,9})=(\d{1,9})", part)
        if match is None:
            raise click.BadParameter(f"must be VALUE=ID, 255=1 for instance, but got {part!r}")
        pairs.append((int(match[1]), int(match[2])))
    return tuple(pairs)


IGNORE_LABEL = click.option(
    "--ignore-label",
    type=int,
    multiple=True,
    metavar="ID",
    help="Void in label pictures, be it a class or not; 255 by default.",
)
MAP_VALUES = click.option(
    "--map-values",
    multiple=True,
    metavar="VALUE=ID,…",
    callback=_mapped,
    help="What values of label pictures stand for: 255=1 for masks of 0 and 255.",
)


def _renamed(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:  # noqa: ARG001
    """Read OWN=THEIRS, one each time, for names may hold commas; a click callback."""
    pairs = []
    for text in values:
        own, _, theirs = (part.strip() for part in text.partition("="))
        if not own or not theirs or "=" in theirs:
            raise click.BadParameter(f"must be OWN=THEIRS, two names of classes, but got {text!r}")
        pairs.append((own, theirs))
    return tuple(pairs)


COMMON_CLASSES = click.option(
    "--common-classes", is_flag=True, help="Evaluate the classes that model and data set share by name."
)
MAP_CLASSES = click.option(
    "--map",
    "renamed",
    multiple=True,
    metavar="OWN=THEIRS",
    callback=_renamed,
    help="Let a class of the model count as one of the data set, motorbike=motorcycle for instance; repeatable.",
)


def _tiling(ctx: click.Context, param: click.Parameter, value: str | None) -> "Tiling | None":  # noqa: ARG001
    """Read HEIGHTxWIDTH[,OVERLAP]; a click callback."""
    if value is None:
        return None
    from segrt.runtime.preprocess.tiling import Tiling

    return Tiling.of(value)


TILE = click.option(
    "--tile",
    metavar="HxW[,OVERLAP]",
    callback=_tiling,
    help="Cut larger pictures into tiles of so many pixels, that share OVERLAP pixels or percent (a fifth by default) "
    "with their neighbours, and join the results: 768x1280,20% for instance.",
)


def grouped(argument: str, make: Callable[..., Any], *options: _Option) -> Callable[[_Command], _Command]:
    """Return a decorator that adds `options`, whose values reach the command as one `argument`.

    `make`, a dataclass for instance, takes the options by their names and returns what the command gets.
    """

    def decorate(command: _Command) -> _Command:
        @functools.wraps(command)
        def call(**values: Any) -> Any:
            return command(**{argument: make(**{name: values.pop(name) for name in names})}, **values)

        known = _names(call)
        for option in reversed(options):
            call = option(call)
        names = _names(call) - known
        return call  # type: ignore[return-value]

    return decorate


def _names(command: Callable[..., Any]) -> set[str]:
    """Return the names of the arguments that options and arguments were declared for."""
    return {parameter.name for parameter in getattr(command, "__click_params__", ())}


def execution_options(command: _Command) -> _Command:
    """Add --backend, --precision, --threads, --decode and those about engines; the command gets an `execution`."""
    return execution_group(
        BACKEND,
        click.option(
            "--precision", metavar="NAME", help="Variant to use, fp32 for instance, or tf32; the first by default."
        ),
    )(command)


def execution_group(*options: _Option) -> Callable[[_Command], _Command]:
    """Return `execution_options` with a command's own --backend and --precision, as far as it has them."""
    return grouped("execution", _execution, *options, THREADS_OPTION, DECODE, *_ENGINES)


def engine_options(command: _Command) -> _Command:
    """Add --engine-dir, --no-build and --trust-engine; the command gets `engines`, an `EnginePolicy`."""
    return grouped("engines", _engines, *_ENGINES)(command)


def rule_options(command: _Command) -> _Command:
    """Add what replaces options of the bundle's decode rule; the command gets `changes`, a `RuleChanges`."""
    thresholds = (
        click.option(f"--{name}-threshold", type=SHARE, help=f"Replace the bundle's {name} threshold.")
        for name in ("score", "overlap")
    )
    merge = click.option(
        "--merge-rule",
        type=click.Choice(["maskformer", "mask2former", "eomt", "yoso", "detr"]),
        help="Merge a panoptic network's queries as these authors do, instead of by the bundle's rule.",
    )
    compat = click.option(
        "--compat/--no-compat",
        default=None,
        help="With the authors' known mistakes, to compare with them, or without; for --merge-rule detr it loses "
        "stuff of one class that several queries found.",
    )
    return grouped("changes", _rule_changes, *thresholds, merge, compat)(command)


def _rule_changes(**given: Any) -> "RuleChanges":
    from segrt.runtime.decode.rule_changes import RuleChanges

    return RuleChanges(**given)


def _execution(
    threads: int,
    decode_on: "WantedPlace",
    engine_dir: Path | None,
    no_build: bool,
    trust_engine: bool,
    backend: str = "auto",
    precision: str | None = None,
) -> "Execution":
    from segrt.runtime.inference.execution import Execution

    return Execution(backend, precision, threads, _engines(engine_dir, no_build, trust_engine), decode_on=decode_on)


def _engines(engine_dir: Path | None, no_build: bool, trust_engine: bool) -> "EnginePolicy":
    from segrt.runtime.inference.engine_policy import EnginePolicy

    return EnginePolicy(engine_dir, build=not no_build, trust=trust_engine)
