"""`segrt models`: what can be exported, by technique."""

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segrt.runtime.cli.json_output import STANDARD_OUTPUT, JsonCommand, check_json, json_option, write_json_text

if TYPE_CHECKING:
    from segrt.export.family import Model


@click.command(cls=JsonCommand)
@json_option("the table")
@click.option("--technique", type=click.Choice(["semantic", "instance", "panoptic"]), help="Only this one.")
def models(json_path: Path | None, technique: str | None) -> None:
    """List the models that `segrt export` knows, by technique.

    GMACs (billions of multiply-adds) and the heads' size are those of one picture at the default size, heads in
    float32. A model without published weights is exported with `--weights FILE`, or with random ones.
    """
    from segrt.export.models.catalogue import models as all_models

    check_json(json_path)
    found = [model for model in all_models() if technique in (None, model.technique)]
    if json_path is not None:
        import msgspec

        text = msgspec.json.format(msgspec.json.encode([_entry(model) for model in found]), indent=2).decode()
        write_json_text(json_path, text)
        if json_path == STANDARD_OUTPUT:
            return
    width = max((len(model.name) for model in found), default=0)
    for name in ("semantic", "instance", "panoptic"):
        group = [model for model in found if model.technique == name]
        if group:
            click.echo(
                f"{name.capitalize():{width + 5}}{'size':>9}{'M params':>10}{'GMACs':>9}{'heads MB':>10}  labels"
            )
            _print_group(group, width)
            if name == "semantic":
                click.echo("  hf:ORGANISATION/NAME, hf:FOLDER: other semantic networks of Hugging Face transformers")
            click.echo()


def _print_group(models: "list[Model]", width: int) -> None:
    """Print the models of a technique, those of one family and licence under one line that says so."""
    for terms, same in groupby(models, _terms):
        click.echo(f"  {terms}")
        for model in same:
            size = f"{model.size[0]}x{model.size[1]}"
            click.echo(
                f"    {model.name:{width}} {size:>9}{model.parameters / 1e6:>10.1f}{model.gmacs:>9.1f}"
                f"{model.head_bytes / 1e6:>10.1f}  {model.labels}"
            )


def _terms(model: "Model") -> str:
    """Return the family, the licences of code and weights, and what it needs, in one line."""
    parts = [f"code {model.code_licence}"]
    if model.checkpoint is None:
        parts.append("no published weights")
    else:
        covers = "" if model.checkpoint.covers == "network" else f" of the {model.checkpoint.covers} alone"
        parts.append(f"weights{covers} {model.checkpoint.licence}")
    if model.needs:
        parts.append(f"needs {', '.join(model.needs)}")
    return f"{model.family.replace('_', ' ')}: {'; '.join(parts)}"


def _entry(model: "Model") -> dict[str, object]:
    checkpoint = model.checkpoint
    return {
        "name": model.name,
        "technique": model.technique,
        "family": model.family,
        "size": list(model.size),
        "multiple": model.multiple,
        "labels": model.labels,
        "parameters": model.parameters,
        "gmacs": model.gmacs,
        "head_bytes": model.head_bytes,
        "code_licence": model.code_licence,
        "weights": None
        if checkpoint is None
        else {"address": checkpoint.address, "licence": checkpoint.licence, "covers": checkpoint.covers},
        "needs": list(model.needs),
    }
