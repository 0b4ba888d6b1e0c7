"""`segrt export-triton`: bundles as models of a Triton server."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segrt.runtime.cli.options import BACKEND, THREADS_OPTION, grouped
from segrt.runtime.console.printable import say
from segrt.runtime.console.quantities import DURATION

if TYPE_CHECKING:
    from segrt.runtime.scale.triton.serving_options import ServingOptions


def _options(**given: Any) -> "ServingOptions":
    from segrt.runtime.scale.triton.serving_options import ServingOptions

    return ServingOptions(**given)


_SERVING = (
    click.option("--name", help="The model's name on the server; the bundle's by default."),
    click.option(
        "--kind", type=click.Choice(["cpu", "gpu"]), default="cpu", show_default=True, help="What runs the network."
    ),
    click.option(
        "--gpu", "gpus", type=click.IntRange(0, 1023), multiple=True, metavar="N", help="A GPU's number; repeatable."
    ),
    click.option(
        "--instances", type=click.IntRange(1, 64), default=2, show_default=True, help="Copies that run side by side."
    ),
    click.option(
        "--max-batch",
        "batch",
        type=click.IntRange(1, 256),
        metavar="N",
        help="Most pictures in the network at once; 4 by default where the network takes several, else 1.",
    ),
    click.option(
        "--max-queue",
        "queue",
        type=click.IntRange(1, 1_000_000),
        default=64,
        show_default=True,
        help="Most pictures that wait.",
    ),
    click.option(
        "--queue-delay",
        type=DURATION,
        default=0.0,
        metavar="TIME",
        help="How long a picture may wait for others to fill a batch, as 2ms; not at all by default.",
    ),
    click.option(
        "--versions",
        type=click.IntRange(1, 1000),
        default=1,
        show_default=True,
        help="How many of the newest are served.",
    ),
    click.option(
        "--environment",
        metavar="PATH",
        help="EXECUTION_ENV_PATH: a packed Python environment that has segrt, as the server sees it.",
    ),
    click.option("--precision", metavar="NAME", help="Variant to serve, fp16 for instance; the first by default."),
    BACKEND,
    THREADS_OPTION,
)


@click.command("export-triton")
@click.argument("bundles", nargs=-1, required=True, metavar="BUNDLE...")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Model repository."
)
@grouped("serving", _options, *_SERVING)
def export_triton(bundles: tuple[str, ...], out: Path, serving: "ServingOptions") -> None:
    """Write BUNDLEs (folders, or names of embedded bundles) as models that a Triton server runs.

    Each takes pictures, encoded or raw, and answers with results: its Python model has segrt's preprocessing, network
    and decoding. What is in the repository already gets a new version. Point the server's --model-repository at it, and
    open the models anywhere as triton://HOST:8001/NAME.
    """
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.inference.backends import check_choice
    from segrt.runtime.inference.network_file import Opening
    from segrt.runtime.scale.triton.repository import export_model, model_name

    check_choice(serving.backend, Opening(serving.threads))
    if serving.gpus and serving.kind != "gpu":
        raise SegrtError(f"--gpu {serving.gpus[0]}: is for --kind gpu; add that or leave --gpu out")
    if serving.name is not None and len(bundles) > 1:
        raise SegrtError(f"--name {serving.name}: is for one bundle, but there are {len(bundles)}; export them singly")
    opened = [read_bundle(bundle) for bundle in bundles]
    names = [model_name(bundle, serving) for bundle in opened]
    for position, name in enumerate(names):
        if name in names[:position]:
            raise SegrtError(f"{bundles[position]}: is called {name!r} as one before it; export it alone with --name")
    for bundle, name in zip(opened, names, strict=True):
        written = export_model(bundle, out, replace(serving, name=name))
        of = f"batches of up to {written.batch}" if written.batch > 1 else "one picture at a time"
        say(f"{written.folder}: version {written.version}, {bundle.manifest.technique}, {of}")
    say(f"tritonserver --model-repository {out} serves them; triton://HOST:8001/{names[0]} opens the first")
