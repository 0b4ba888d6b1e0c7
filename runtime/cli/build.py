"""`segrt build`: TensorRT engines of a bundle."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from segrt.runtime.cli.options import engine_dir_option, engine_option
from segrt.runtime.console.progress import Bars
from segrt.runtime.console.tables import print_table

if TYPE_CHECKING:
    from segrt.runtime.inference.cuda.interface import Cuda
    from segrt.runtime.inference.engine_policy import BuildOptions, Progress
    from segrt.runtime.inference.tensorrt.engine_record import EngineRecord


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
@click.option(
    "--workspace", type=click.IntRange(0, 1 << 20), default=0, metavar="MB", help="The most memory for one layer."
)
@click.option("--optimization-level", type=click.IntRange(0, 5), metavar="N", help="0: built quickly, 5: runs fast.")
@click.option("--version-compatible", is_flag=True, help="Run in later TensorRT of the same major version, too.")
@click.option(
    "--hardware-compatible",
    type=click.Choice(["none", "same-sm", "ampere+"]),
    default="none",
    show_default=True,
    help="Run on other GPUs, too: of the same compute capability, or all since Ampere.",
)
@click.option(
    "--target", "targets", multiple=True, metavar="SM", help="With tensorrt-rtx: for 8.6, 8.9 ... repeatable."
)
@click.option(
    "--dla-core", type=click.IntRange(0, 15), metavar="N", help="Use this DLA of an Orin; the GPU does the rest."
)
@click.option(
    "--batch", type=click.IntRange(1, 1024), default=1, show_default=True, metavar="N", help="Frames in a batch."
)
@click.option("--layers", is_flag=True, help="List the precision of every layer.")
@engine_option("--trust-engine", "trust", "Keep engines that fit but were built elsewhere; they are code.")
@engine_dir_option
def build(
    bundle: str,
    precision: str | None,
    flavor: str,
    rebuild: bool,
    workspace: int,
    optimization_level: int | None,
    version_compatible: bool,
    hardware_compatible: str,
    targets: tuple[str, ...],
    dla_core: int | None,
    batch: int,
    layers: bool,
) -> None:
    """Make the TensorRT engines of BUNDLE (a folder, or the name of an embedded bundle), so that starting is quick.

    An engine that is there and fits is kept. TensorRT builds for the GPU of this device. TensorRT-RTX needs no GPU: it
    builds for every RTX GPU since Ampere, or for the ones that --target names.
    """
    from dataclasses import replace

    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.bundle.network_files import network_file
    from segrt.runtime.inference.engine_policy import EnginePolicy
    from segrt.runtime.inference.tensorrt.engine_cache import EngineCache
    from segrt.runtime.inference.tensorrt.flavor import find_flavor
    from segrt.runtime.inference.tensorrt.target import look

    options = _options(workspace, optimization_level, version_compatible, hardware_compatible, targets, dla_core)
    opened = read_bundle(bundle)
    names = [name.strip() for name in precision.split(",") if name.strip()] if precision else []
    variants = [opened.variant(name) for name in names] if names else list(opened.manifest.variants)
    rows, records = [], []
    with _device() as cuda:
        found = find_flavor(flavor, on_gpu=cuda is not None)
        here = look(cuda)
        for part, variant in [(part, part.variant(one.precision)) for one in variants for part in opened.parts]:
            with Bars("name", "bar", "note", "elapsed") as bars:
                progress = _phases(bars, f"{part.manifest.name} {variant.precision}")
                policy = replace(EnginePolicy(), flavor=flavor, options=options, progress=progress)
                engine = EngineCache(network_file(part, variant, batch), found, here, policy).get(rebuild=rebuild)
            record = engine.record
            records.append(record)
            state = f"built in {record.seconds:.1f} s" if engine.reason else "fits, kept"
            rows.append([variant.precision, f"{record.plan_bytes / 1e6:.1f}", _shares(record), state, engine.path.name])
    where = here.gpu or f"no GPU here, for SM {', '.join(records[0].targets)}"
    print_table(
        f"{opened.manifest.name} with {found} ({where})", ["variant", "MB", "layers run in", "", "engine"], rows
    )
    click.echo(f"engines: {engine.path.parent}")
    for record in records if layers else ():
        print_table(
            f"{record.bundle} {record.precision}: layers of the {record.layers_from}",
            ["layer", "kind", "precision"],
            [[layer.name, layer.kind, layer.precision] for layer in record.layers],
        )


def _options(
    workspace: int,
    optimization_level: int | None,
    version_compatible: bool,
    hardware_compatible: str,
    targets: tuple[str, ...],
    dla_core: int | None,
) -> "BuildOptions":
    import msgspec

    from segrt.runtime.errors import BackendError
    from segrt.runtime.inference.engine_policy import BuildOptions

    try:
        return msgspec.convert(
            {
                "workspace_mb": workspace,
                "optimization_level": optimization_level,
                "version_compatible": version_compatible,
                "hardware_compatible": hardware_compatible,
                "targets": targets,
                "dla_core": dla_core,
            },
            BuildOptions,
        )
    except msgspec.ValidationError:
        raise BackendError(f"--target must be a compute capability such as 8.6, but got {', '.join(targets)}") from None


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


def _shares(record: "EngineRecord") -> str:
    """Return "fp32 71" or "fp16 120, int64 30": the layers that compute with numbers of a picture first."""
    floats = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "int8": "int8", "float8": "fp8"}
    return ", ".join(f"{floats[name]} {count}" for name, count in record.precisions.items() if name in floats)
