"""`segrt quantize`: a bundle with variants at more precisions, made of its fp32 one."""

from pathlib import Path

import click

from segrt.runtime.cli.options import THREADS
from segrt.runtime.console.progress import with_progress
from segrt.runtime.console.quantities import SHARE
from segrt.runtime.console.tables import print_table

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("bundle")
@click.option("--precision", "precisions", required=True, metavar="LIST", help="fp16, int8, int8-cpu; comma-separated.")
@click.option("--out", required=True, type=_PATH, metavar="BUNDLE", help="The new bundle.")
@click.option("--calibration", type=_PATH, metavar="DIR", help="Typical pictures, for int8: a hundred or so.")
@click.option("--keep", multiple=True, metavar="PATTERN", help="A node or module to keep in fp32; may be repeated.")
@click.option(
    "--agreement",
    type=SHARE,
    help="What a variant's results must have in common with fp32's; 0.99 for fp16, 0.95 for int8 by default.",
)
@click.option(
    "--search-steps",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    help="Runs to find the layers that must stay in fp32 when a variant agrees too little with it.",
)
@click.option("--threads", type=THREADS, default=0, help="CPU threads; 0 means the default.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is already there.")
def quantize(
    bundle: str,
    precisions: str,
    out: Path,
    calibration: Path | None,
    keep: tuple[str, ...],
    agreement: float | None,
    search_steps: int,
    threads: int,
    overwrite: bool,
) -> None:
    """Write a copy of BUNDLE with variants at more precisions, each compared with fp32 on pictures.

    int8 is what TensorRT wants, int8-cpu what ONNX Runtime runs fastest on a CPU. Where results differ too much, the
    layers that must stay in fp32 are searched for; they are listed, and `segrt inspect` shows what share of the
    network is at the precision.
    """
    from segrt.export.graph.editing import require_onnx
    from segrt.export.precision.calibration import calibration_files
    from segrt.export.precision.extending import add_variants
    from segrt.export.precision.variants import VariantOptions, check_precisions
    from segrt.runtime.bundle.locating import read_bundle
    from segrt.runtime.errors import SegrtError

    require_onnx()
    names = list(dict.fromkeys(name.strip() for name in precisions.split(",") if name.strip()))
    if not names:
        raise SegrtError("--precision is empty; name fp16, int8 or int8-cpu, comma-separated")
    check_precisions(names)
    needs_pictures = any(name.startswith("int8") for name in names)
    pictures = calibration_files(calibration) if needs_pictures or calibration is not None else []
    made = add_variants(
        read_bundle(bundle),
        names,
        out,
        VariantOptions(
            calibration=pictures,
            keep=keep,
            limits={} if agreement is None else dict.fromkeys(names, agreement),
            search_steps=search_steps,
            threads=threads,
            progress=with_progress,
        ),
        overwrite=overwrite,
        say=lambda line: click.echo(line, err=True),
    )
    print_table(
        f"{bundle} against its fp32 variant",
        ["precision", "multiply-adds", "weights", "agreement", "at worst", "matched", "kept in fp32"],
        [
            [
                entry.file.precision,
                f"{entry.shares.mac_share(entry.file.precision):.1%}",
                f"{entry.shares.weight_share(entry.file.precision):.1%}",
                f"{entry.verdict.agreement:.2%}",
                f"{entry.verdict.worst:.2%}",
                "" if entry.verdict.matched is None else f"{entry.verdict.matched:.2%}",
                str(len(entry.kept) or ""),
            ]
            for entry in made
        ],
    )
    kept = [(entry, layer) for entry in made for layer in entry.kept]
    if kept:
        print_table(
            "layers that stay in fp32",
            ["precision", "module", "node", "multiply-adds", "error with it alone"],
            [
                [
                    entry.file.precision,
                    layer.layer.module,
                    layer.layer.name,
                    f"{layer.share:.1%}",
                    "overflows" if layer.error == float("inf") else f"{layer.error:.2g}",
                ]
                for entry, layer in kept
            ],
        )
    click.echo(f"{out}: written and verified; look at `segrt inspect {out}`")
