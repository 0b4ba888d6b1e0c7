"""`segrt export`: a model of the zoo becomes a bundle."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segrt.export.cli.options import PATH, overwrite_option, picture_size, search_steps_option, threads_option
from segrt.runtime.cli.options import COMMON_CLASSES
from segrt.runtime.console.progress import with_progress
from segrt.runtime.console.tables import print_table
from segrt.runtime.console.words import counted

if TYPE_CHECKING:
    from segrt.export.convert.parity import ParityReport

_PACKAGES = ("torch", "torchvision", "transformers", "onnx", "onnxscript", "onnxslim")


@click.command()
@click.argument("model")
@click.option("--out", required=True, type=PATH, help="Folder of the new bundle.")
@click.option(
    "--weights",
    default="pretrained",
    show_default=True,
    metavar="WHICH",
    help="pretrained (fetched where it is published), random, or a file: a state dict (.pth, .pt), .safetensors, or "
    "the .h5 that Keras saved of PixelLib's networks.",
)
@click.option(
    "--size", metavar="HxW", callback=picture_size, help="Of the network's input; the model's own by default."
)
@click.option(
    "--both-orientations",
    is_flag=True,
    help="A square input that holds pictures on their side and upright at the framework's scale: up to twice the work.",
)
@click.option(
    "--pad-side",
    type=click.Choice(["both", "bottom_right"]),
    help="Where pictures that keep their shape are padded; the framework's own way by default.",
)
@click.option(
    "--labels",
    metavar="LIST",
    help="voc, coco, coco-panoptic, cityscapes, ade20k, or a file (JSON, text); the weights' own by default.",
)
@click.option(
    "--precision",
    "precisions",
    default="fp32",
    show_default=True,
    metavar="LIST",
    help="Variants, comma-separated: fp32, fp16, int8, int8-cpu. The first is the bundle's default.",
)
@click.option("--calibration", type=PATH, metavar="DIR", help="Typical pictures, for int8.")
@search_steps_option
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of random weights.")
@click.option(
    "--top-queries",
    type=click.IntRange(1),
    metavar="K",
    help="Keep the K surest queries, chosen inside the graph: smaller heads to copy.",
)
@click.option("--dynamic-batch", is_flag=True, help="Let the network take any number of pictures at a time.")
@click.option(
    "--parity",
    type=click.Choice(["full", "quick"]),
    default="full",
    show_default=True,
    help="Compare with torch on three pictures, or on one alone, which the bundle's card says.",
)
@click.option(
    "--parity-images", type=PATH, metavar="DIR", help="Compare with torch on these pictures, not on synthetic ones."
)
@click.option(
    "--annotations",
    metavar="DATA",
    help="Measure the metric before and after the conversion, for the bundle's card: COCO, panoptic or instances, a "
    "folder of label pictures, or street://….",
)
@click.option("--images", type=PATH, metavar="DIR", help="Of --annotations: its pictures.")
@click.option("--panoptic-dir", type=PATH, metavar="DIR", help="Of --annotations: its panoptic PNG files.")
@COMMON_CLASSES
@click.option("--check-tensorrt", is_flag=True, help="Let NVIDIA's builder make an engine of every variant (no GPU).")
@threads_option
@overwrite_option
def export(
    model: str,
    out: Path,
    weights: str,
    precisions: str,
    seed: int,
    annotations: str | None,
    images: Path | None,
    panoptic_dir: Path | None,
    common_classes: bool,
    **known: Any,
) -> None:
    """Export MODEL, one of those that `segrt models` lists, into a bundle, and compare it with torch.

    hf:ORGANISATION/NAME is a network of the Hugging Face hub, hf:FOLDER one that save_pretrained wrote; where neither
    name nor classes tell what it was trained for, it is said before: hf:instance:FOLDER. smp:ARCHITECTURE/ENCODER
    (smp:unet/resnet34) and smp:FOLDER are networks of segmentation_models_pytorch.
    ultralytics:FILE.pt is a -seg or -sem network of Ultralytics, exported by its package (AGPL-3.0) where you have it.

    Every head, the final result and the network's input are compared with what the source framework itself gives, on
    pictures that were not used for the export; outside the family's limits nothing is written and the exit code is 1.
    What was compared, what the weights are published to score, and what --annotations gave is the bundle's truth card,
    which `segrt inspect` shows.
    """
    from segrt.export.models.catalogue import find_model

    if model.startswith("ultralytics:"):
        with _interruptible():
            _adopt_ultralytics(model, out, known["size"], known["labels"], overwrite=known["overwrite"])
        return
    find_model(model)
    require_torch("segrt export")
    from segrt.export.convert.export_options import Annotations, ExportOptions
    from segrt.export.convert.exporting import export_model
    from segrt.export.family import Weights
    from segrt.runtime.errors import SegrtError

    if annotations is None and (images or panoptic_dir or common_classes):
        raise SegrtError("--images, --panoptic-dir and --common-classes belong to --annotations DATA; give it, too")
    measure_on = None if annotations is None else Annotations(annotations, images, panoptic_dir, common_classes)

    chosen = Weights(weights, seed=seed) if weights in ("pretrained", "random") else Weights("file", Path(weights))  # type: ignore[arg-type]
    names = tuple(name.strip() for name in precisions.split(",") if name.strip())
    with _interruptible():
        done = export_model(
            model,
            out,
            ExportOptions(chosen, precisions=names, measure_on=measure_on, progress=with_progress, **known),
            say=lambda line: click.echo(line, err=True),
            show=_show,
        )
    if find_model(model).prompts:
        then = f"segrt run {out} PICTURE --prompt box:LEFT,TOP,RIGHT,BOTTOM --out DIR"
        click.echo(f"{out}: written and verified; look at `segrt inspect {out}`, then `{then}`")
        return
    if max(done.report.objects, default=0) < 2:
        click.echo("note: no picture has two classes or objects, so the agreement says little; try --parity-images DIR")
    click.echo(f"{out}: written and verified; look at `segrt inspect {out}`, then `segrt run {out} PICTURE --out DIR`")
    if done.failed:
        from segrt.export.precision.variants import without

        raise without(out, done.failed)


def _adopt_ultralytics(
    model: str, out: Path, size: tuple[int, int] | None, labels: str | None, *, overwrite: bool
) -> None:
    """Let Ultralytics' package export its checkpoint, and adopt what it wrote."""
    from segrt.export.adopt.adopt_options import AdoptOptions
    from segrt.export.adopt.ultralytics_checkpoint import PREFIX, REMARK, adopt_checkpoint
    from segrt.runtime.errors import SegrtError

    context = click.get_current_context()
    taken = ("model", "out", "size", "labels", "overwrite")
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in taken and context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise SegrtError(
                f"{parameter.opts[0]}: {model} is exported by Ultralytics' own package, which takes --size and "
                "--labels alone; leave it out (`segrt quantize` adds precisions)"
            )
    require_torch("segrt export")
    click.echo(f"note: {REMARK}", err=True)
    path = Path(model.removeprefix(PREFIX))
    for line in adopt_checkpoint(path, out, AdoptOptions(size=size, labels=labels, overwrite=overwrite)):
        click.echo(line)
    click.echo(f"{out}: written and verified; look at `segrt inspect {out}`, then `segrt run {out} PICTURE --out DIR`")


def _show(report: "ParityReport") -> None:
    print_table(
        f"Against torch, over {counted(report.parity.images, 'picture')}",
        ["", "measured", "allowed", ""],
        [[line.what, line.value, line.limit, "ok" if line.passed else "outside"] for line in report.lines],
    )


def require_torch(command: str) -> None:
    """Raise SegrtError that says what `command` lacks where torch and what belongs to it are not installed.

    Where torch is there and not loaded yet, its threads will sleep while they wait: beside other programs they would
    spend as much time in waiting as at work.
    """
    from segrt.runtime.errors import SegrtError

    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise SegrtError(f"{command} needs {', '.join(missing)}; `pip install 'segrt[export]'`")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM, inside, leave no half-written files and no processes behind, as Ctrl-C does."""
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _interrupt(number: int, frame: Any) -> None:  # noqa: ARG001 (signal's signature)
    raise KeyboardInterrupt
