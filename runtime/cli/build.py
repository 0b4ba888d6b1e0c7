"""`segrt build`: TensorRT engines of a bundle."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segrt.runtime.cli.options import ENGINE_DIR, grouped
from segrt.runtime.console.progress import Bars
from segrt.runtime.console.tables import print_table
from segrt.runtime.console.words import comma_separated

if TYPE_CHECKING:
    from segrt.runtime.inference.cuda.interface import Cuda
    from segrt.runtime.inference.engine_policy import BuildOptions, Progress
    from segrt.runtime.inference.tensorrt.engine_cache import Engine
    from segrt.runtime.inference.tensorrt.engine_record import EngineRecord


def _build_options(targets: tuple[str, ...], **others: Any) -> "BuildOptions":
    import msgspec

    from segrt.runtime.errors import BackendError
    from segrt.runtime.inference.engine_policy import BuildOptions

    try:
        return msgspec.convert({"targets": targets, **others}, BuildOptions)
    except msgspec.ValidationError:
        raise BackendError(f"--target must be a compute capability such as 8.6, but got {', '.join(targets)}") from None


builder_options = grouped(
    "options",
    _build_options,
    click.option(
        "--workspace",
        "workspace_mb",
        type=click.IntRange(0, 1 << 20),
        default=0,
        metavar="MB",
        help="The most memory for one layer.",
    ),
    click.option(
        "--optimization-level", type=click.IntRange(0, 5), metavar="N", help="0: built quickly, 5: runs fast."
    ),
    click.option("--version-compatible", is_flag=True, help="Run in later TensorRT of the same major version, too."),
    click.option(
        "--hardware-compatible",
        type=click.Choice(["none", "same-sm", "ampere+"]),
        default="none",
        show_default=True,
        help="Run on other GPUs, too: of the same compute capability, or all since Ampere.",
    ),
    click.option(
        "--target", "targets", multiple=True, metavar="SM", help="With tensorrt-rtx: for 8.6, 8.9 ... repeatable."
    ),
    click.option(
        "--dla-core", type=click.IntRange(0, 15), metavar="N", help="Use this DLA of an Orin; the GPU does the rest."
    ),
)


@click.command()
@click.argument("bundle")
@click.option("--precision", metavar="NAMES", help="Variants to build, comma-separated; all by default.")
@click.option(
    "--flavor",
    type=click.Choice(["auto", "tensorrt", "tensorrt-rtx"]),
    default="auto",
    show_default=True,
    help="Which TensorRT builds; auto takes tensorrt where there is a GPU.",
)
@click.option("--rebuild", is_flag=True, help="Build again what fits, too.")
@builder_options
@click.option(
    "--batch", type=click.IntRange(1, 1024), default=1, show_default=True, metavar="N", help="Frames in a batch."
)
@click.option("--layers", is_flag=True, help="List the precision of every layer.")
@click.option("--trust-engine", is_flag=True, help="Keep engines that fit but were built elsewhere; they are code.")
@ENGINE_DIR
def build(
    bundle: str,
    precision: str | None,
    flavor: str,
    rebuild: bool,
    options: "BuildOptions",
    batch: int,
    layers: bool,
    trust_engine: bool,
    engine_dir: Path | None,
) -> None:
    """Make the TensorRT engines of BUNDLE (a folder, or the name of an embedded bundle), so that starting is quick.

    An engine that is there and fits is kept. TensorRT builds for the GPU of this device. TensorRT-RTX needs no GPU: it
    builds for every RTX GPU since Ampere, or for the ones that --target names.
    """
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.bundle.network_files import network_file
    from segrt.runtime.inference.engine_policy import EnginePolicy
    from segrt.runtime.inference.tensorrt.engine_cache import EngineCache
    from segrt.runtime.inference.tensorrt.flavor import find_flavor
    from segrt.runtime.inference.tensorrt.target import look

    policy = EnginePolicy(engine_dir, trust=trust_engine, flavor=flavor, options=options)
    opened = read_bundle(bundle)
    names = comma_separated(precision)
    variants = [opened.variant(name) for name in names] if names else list(opened.manifest.variants)
    rows, records = [], []
    with _device() as cuda:
        installed = find_flavor(flavor, on_gpu=cuda is not None)
        here = look(cuda)
        for part, precision_name in [(part, variant.precision) for variant in variants for part in opened.parts]:
            network = network_file(part, part.variant(precision_name), batch)
            with Bars("name", "bar", "note", "elapsed") as bars:
                watched = replace(policy, progress=_phases(bars, f"{network.name} {network.precision}"))
                engine = EngineCache(network, installed, here, watched).get(rebuild=rebuild)
            rows.append(_row(engine))
            records.append(engine.record)
    where = here.gpu or f"no GPU here, for SM {', '.join(records[0].targets)}"
    columns = ["variant", "MB", "layers run in", "", "engine"]
    print_table(f"{opened.manifest.name} with {installed} ({where})", columns, rows)
    click.echo(f"engines: {engine.path.parent}")
    for record in records if layers else ():
        print_table(
            f"{record.bundle} {record.precision}: layers of the {record.layers_from}",
            ["layer", "kind", "precision"],
            [[layer.name, layer.kind, layer.precision] for layer in record.layers],
        )


@contextmanager
def _device() -> "Iterator[Cuda | None]":
    """Open the GPU; None where there is none, or nothing to reach it with."""
    from segrt.runtime.inference.cuda.choice import installed_packages, open_cuda
    from segrt.runtime.inference.cuda.presence import why_no_gpu

    if why_no_gpu() is not None or not installed_packages():
        yield None
        return
    cuda = open_cuda()
    try:
        with cuda.current():
            yield cuda
    finally:
        cuda.close()


def _phases(bars: Bars, engine: str) -> "Progress | None":
    """Return what shows the phases of a build; None where nothing is shown."""
    if not bars.shown:
        return None
    name = f"building {engine}"
    bars.show(name, 0, None, note="starting")
    return lambda phase, done, steps: bars.show(name, done, steps, note=phase)


def _row(engine: "Engine") -> list[str]:
    record = engine.record
    state = f"built in {record.seconds:.1f} s" if engine.reason else "fits, kept"
    return [record.precision, f"{record.plan_bytes / 1e6:.1f}", _shares(record), state, engine.path.name]


def _shares(record: "EngineRecord") -> str:
    """Return "fp32 71" or "fp16 120, int64 30": the layers that compute with numbers of a picture first."""
    floats = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "int8": "int8", "float8": "fp8"}
    return ", ".join(f"{floats[name]} {count}" for name, count in record.precisions.items() if name in floats)
