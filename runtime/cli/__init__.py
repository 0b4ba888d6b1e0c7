"""The command line: one static table of names, each command imported only when it is used.

`segrt run` therefore never imports torch, and `segrt export` without torch can say what to install.
"""

import logging
from importlib import import_module
from typing import Any, NoReturn

import click

from segrt.runtime.console.exits import run_command
from segrt.runtime.console.interruptions import ended_at_once
from segrt.runtime.console.suggestions import suggestion
from segrt.runtime.errors import SegrtError

# name: (module:function, one line for `segrt --help`)
COMMANDS = {
    "demo": ("segrt.runtime.cli.demo:demo", "Run everything on the embedded models; no network needed."),
    "models": ("segrt.export.cli.models:models", "List what can be exported, by technique."),
    "get": ("segrt.export.cli.get:get", "Fetch published models, to be opened by their names."),
    "export": ("segrt.export.cli.export:export", "Turn a model of the zoo into a bundle, compared with torch."),
    "adopt": ("segrt.export.cli.adopt:adopt", "Turn an ONNX file of your own into a bundle."),
    "pair": ("segrt.runtime.cli.pair:pair", "Join a semantic and an instance bundle into a panoptic one."),
    "quantize": ("segrt.export.cli.quantize:quantize", "Add fp16 and int8 variants to a bundle, compared with fp32."),
    "build": ("segrt.runtime.cli.build:build", "Make a bundle's TensorRT engines, before they are needed."),
    "doctor": ("segrt.runtime.cli.doctor:doctor", "Say what is missing on this device, and how to mend it."),
    "verify": ("segrt.runtime.cli.verify:verify", "Check a bundle's golden frames on this device."),
    "inspect": ("segrt.runtime.cli.inspect:inspect", "Show what a bundle holds."),
    "run": ("segrt.runtime.cli.run:run", "Segment images and save the results."),
    "compare": ("segrt.runtime.cli.compare:compare", "Put several bundles' results on one image side by side."),
    "stream": ("segrt.runtime.cli.stream:stream", "Segment video, frame by frame, into sinks."),
    "archive": ("segrt.runtime.cli.archive:archive", "Segment whole archives into Parquet, by many workers."),
    "pack": ("segrt.runtime.cli.pack:pack", "Write a bundle as one file, signed if you like."),
    "unpack": ("segrt.runtime.cli.unpack:unpack", "Turn a pack into a bundle's folder again."),
    "sign": ("segrt.runtime.cli.sign:sign", "Sign what a release executes, or the key that comes next."),
    "deploy": ("segrt.runtime.cli.deploy:deploy", "Bring a pack to devices over ssh, with check and rollback."),
    "service": ("segrt.runtime.cli.service:service", "Write the systemd unit of a stream."),
    "export-triton": (
        "segrt.runtime.cli.export_triton:export_triton",
        "Write bundles as models of a Triton server.",
    ),
    "profile": ("segrt.runtime.cli.profile:profile", "Measure latency: per stage, per technique, with intervals."),
    "tune": ("segrt.runtime.cli.tune:tune", "Choose thresholds and precision on a validation set."),
    "eval": ("segrt.runtime.cli.eval:evaluate", "Measure accuracy: mIoU, mask AP, PQ."),
}

# What others call it: their word → ours.
PEERS = {
    "predict": "run", "infer": "run", "segment": "run", "detect": "run", "track": "stream", "val": "eval",
    "validate": "eval", "evaluate": "eval", "benchmark": "profile", "bench": "profile", "convert": "export",
    "checks": "doctor", "check": "doctor", "list": "models",
}  # fmt: skip

# What a command uses of rooms that the runtime cannot import; `load_hook` imports it then.
HOOKS = {
    "model-names": "segrt.export.models.catalogue:models",
    "get-models": "segrt.export.convert.getting:get_missing",
    "check-variants": "segrt.export.precision.tuning_variants:check_request",
    "make-variants": "segrt.export.precision.tuning_variants:add_variants_within_budget",
}


def load_hook(name: str, option: str) -> Any:
    """Return the function that the `option` of a command needs; raise SegrtError that says what to install."""
    module, _, function = HOOKS[name].partition(":")
    try:
        with ended_at_once():
            return getattr(import_module(module), function)
    except ImportError as error:
        extra = "adopt" if error.name in ("onnx", "onnxslim", None) else "export"
        raise SegrtError(f"{option} needs {error.name or 'onnx'}; `pip install 'segrt[{extra}]'`") from None


class LazyGroup(click.Group):
    """A click group that reads its commands from `COMMANDS` and imports each on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Return the command names in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return the command, or None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name][0].partition(":")
        with ended_at_once():
            command = getattr(import_module(module), function)
        assert isinstance(command, click.Command)
        from segrt.runtime.cli.completion import complete_names

        complete_names(command, lambda: [model.name for model in load_hook("model-names", "completion")()])
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; raise UsageError with the nearest name for one that is not there."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            meant = PEERS.get(args[0].casefold()) or suggestion(args[0], COMMANDS)
            ctx.fail(
                f"There is no command {args[0]!r}; "
                + (f"did you mean {meant!r}?" if meant is not None else "`segrt --help` lists them.")
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands from the table, so that `--help` imports none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="segrt")
def cli() -> None:
    """Take segmentation networks to edge devices and run them there: semantic, instance, panoptic."""
    _show_log()


def main() -> NoReturn:
    """Run segrt's command line."""
    run_command(cli)


def _show_log() -> None:
    """Show on standard error what is said about engines and, where there is a GPU, what was chosen and why."""
    from segrt.runtime.inference.cuda.presence import gpu_files

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("segrt: %(message)s"))
    choices = logging.INFO if gpu_files() else logging.WARNING
    levels = {"tensorrt": logging.INFO, "backend": choices, "decode": choices, "remote": logging.WARNING}
    for name, level in levels.items():
        log = logging.getLogger(f"segrt.{name}")
        log.addHandler(handler)
        log.setLevel(level)
