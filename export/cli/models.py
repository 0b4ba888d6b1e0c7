"""`segrt models`: what can be exported, by technique."""

from typing import TYPE_CHECKING

import click

from segrt.runtime.cli.options import print_table

if TYPE_CHECKING:
    from segrt.export.models.table import Model


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
@click.option("--technique", type=click.Choice(["semantic", "instance", "panoptic"]), help="Only this one.")
def models(as_json: bool, technique: str | None) -> None:
    """List the models that `segrt export` knows, by technique.

    GMACs (billions of multiply-adds) and the heads' size are those of one picture at the default size, heads in
    float32. The licence is the code's, then the published weights'; without weights, `--weights FILE` or random ones.
    """
    from segrt.export.models.table import models as all_models

    found = [model for model in all_models() if technique in (None, model.technique)]
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode([_entry(model) for model in found]), indent=2))
        return
    for name in ("semantic", "instance", "panoptic"):
        rows = [_row(model) for model in found if model.technique == name]
        if rows:
            columns = ["model", "size", "M params", "GMACs", "heads MB", "labels", "code", "weights", "needs"]
            print_table(name.capitalize(), columns, rows)


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


def _row(model: "Model") -> list[str]:
    weights = "none published"
    if model.checkpoint is not None:
        covers = "" if model.checkpoint.covers == "network" else f", {model.checkpoint.covers} only"
        weights = model.checkpoint.licence + covers
    return [
        model.name,
        f"{model.size[0]}x{model.size[1]}",
        f"{model.parameters / 1e6:.1f}" if model.parameters else "",
        f"{model.gmacs:.1f}" if model.gmacs else "",
        f"{model.head_bytes / 1e6:.1f}" if model.head_bytes else "",
        model.labels,
        model.code_licence,
        weights,
        ", ".join(model.needs),
    ]
