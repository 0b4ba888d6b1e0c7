"""`segrt get`: published models by name, kept where every command finds them."""

from pathlib import Path

import click

from segrt.export.cli.options import PATH, threads_option
from segrt.runtime.bundle.kept_bundles import is_kept, kept_folder, kept_names
from segrt.runtime.console.words import comma_separated


@click.command()
@click.argument("models", nargs=-1, metavar="[NAME...]")
@click.option("--weights", type=PATH, metavar="FILE", help="A state dict of your own, not the published weights.")
@click.option(
    "--precision", default="fp32", show_default=True, metavar="LIST", help="Variants, comma-separated: fp32, fp16."
)
@click.option("--overwrite", is_flag=True, help="Make bundles again that are there already.")
@threads_option
def get(models: tuple[str, ...], weights: Path | None, precision: str, overwrite: bool, threads: int) -> None:
    """Fetch published models by NAME (see `segrt models`), export and verify them, and keep their bundles.

    They lie in segrt's cache and are opened by their names: `segrt run NAME photo.jpg --out results`. Without NAME the
    bundles that are kept are listed. Weights that cannot be fetched here are fetched elsewhere: the message says which
    file, and where to put it.
    """
    if not models:
        kept = kept_names()
        for name in kept:
            click.echo(f"{name}: {_where(name)}")
        if not kept:
            click.echo("no bundle is kept yet; `segrt get NAME` fetches a model of `segrt models`")
        return
    from segrt.export.cli.export import require_torch
    from segrt.export.models.catalogue import find_model
    from segrt.runtime.errors import SegrtError

    if weights is not None and len(models) > 1:
        raise SegrtError(f"--weights {weights}: is of one model, but {len(models)} are named; get them one by one")
    for name in models:
        find_model(name)  # a wrong name is said before anything is fetched
    wanted = [name for name in models if overwrite or not is_kept(name)]
    if wanted:
        require_torch("segrt get")
    for name in models:
        if name not in wanted:
            click.echo(f"{name}: is there already, {_where(name)}; --overwrite makes it again")
            continue
        from segrt.export.convert.getting import get_model

        get_model(
            name,
            weights=weights,
            precisions=tuple(comma_separated(precision)),
            overwrite=overwrite,
            threads=threads,
            say=lambda line: click.echo(line, err=True),
        )
        click.echo(f"{name}: verified and kept, {_where(name)}; `segrt run {name} PICTURE --out DIR`")


def _where(name: str) -> str:
    """Return the size of a kept bundle and its folder: "13.3 MB, in …/bundles/NAME"."""
    folder = kept_folder(name)
    return f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:.1f} MB, in {folder}"
