"""`segrt models`: what can be exported, by technique."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from segrt.runtime.cli.json_output import STANDARD_OUTPUT, JsonCommand, check_json, json_option, write_json_text
from segrt.runtime.console.printable import say
from segrt.runtime.console.tables import print_table

if TYPE_CHECKING:
    from segrt.export.family import Model

_HUB = ("hf:ORGANISATION/NAME", "hf:FOLDER")
_SMP = ("smp:ARCHITECTURE/ENCODER", "smp:FOLDER")
_ULTRALYTICS = ("ultralytics:FILE.pt",)
_EQUAL = (
    "YOLOv8, v9, 11, 12 and 26 were shown equal to it, and so was YOLOE (v8, 11, 26) with its classes set or without "
    "prompts; without classes it is refused"
)
_BY_ITS_PACKAGE = ", exported by its package (AGPL-3.0), which you must have"
# By technique: names that are given with no entry of the catalogue, and what they are.
BY_NAME = {
    "semantic": (
        (_HUB, "other semantic networks of Hugging Face transformers"),
        (_SMP, "networks of segmentation_models_pytorch, with weights of your own"),
        (_ULTRALYTICS, f"-sem checkpoints of Ultralytics{_BY_ITS_PACKAGE}; YOLO26-sem was shown equal to it"),
    ),
    "instance": (
        (_HUB, "other instance networks of Hugging Face transformers"),
        (
            _ULTRALYTICS,
            f"-seg checkpoints of Ultralytics{_BY_ITS_PACKAGE}; {_EQUAL}",
        ),
    ),
    "panoptic": ((_HUB, "other panoptic networks of Hugging Face transformers"),),
}


@click.command(cls=JsonCommand)
@json_option("the table")
@click.option("--technique", type=click.Choice(["semantic", "instance", "panoptic"]), help="Only this one.")
def models(json_path: Path | None, technique: str | None) -> None:
    """List the models that `segrt export` knows, by technique.

    A model's terms, the licences of code and weights, stand below its table. GMACs (billions of multiply-adds) and the
    heads' size are those of one picture at the default size, heads in float32. A model without published weights is
    exported with `--weights FILE`, or with random ones. --json also has what the weights are published to score, and
    what the project's own checks have verified.
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
    for name in ("semantic", "instance", "panoptic"):
        group = [model for model in found if model.technique == name]
        if group:
            _print_group(name.capitalize(), group)
            for names, what in BY_NAME[name]:
                say(f"  {', '.join(names)}: {what}")
            say("")


def _print_group(title: str, models: "list[Model]") -> None:
    """Print the models of a technique, and below them the terms that they refer to by number."""
    terms = list(dict.fromkeys(map(_terms, models)))
    rows = [
        [
            model.name,
            f"{model.size[0]}x{model.size[1]}",
            f"{model.parameters / 1e6:.1f}",
            f"{model.gmacs:.1f}",
            f"{model.head_bytes / 1e6:.1f}",
            model.labels,
            str(terms.index(_terms(model)) + 1),
        ]
        for model in models
    ]
    print_table(title, ["model", "size", "M params", "GMACs", "heads MB", "labels", "terms"], rows)
    for number, text in enumerate(terms, 1):
        say(f"  {number:>2}  {text}")
    say("")


def _terms(model: "Model") -> str:
    """Return the family, the licences of code and weights, and what it needs, in one line."""
    from segrt.export.weights.licences import forbids_commercial_use

    parts = [f"code {model.code_licence}"]
    if model.checkpoint is None:
        parts.append("no published weights")
    else:
        covers = "" if model.checkpoint.covers == "network" else f" of the {model.checkpoint.covers} alone"
        forbids = ", no commercial use" if forbids_commercial_use(model.checkpoint.licence) else ""
        parts.append(f"weights{covers} {model.checkpoint.licence}{forbids}")
    if model.needs:
        parts.append(f"needs {', '.join(model.needs)}")
    return f"{model.family.replace('_', ' ')}: {'; '.join(parts)}"


def _entry(model: "Model") -> dict[str, object]:
    from segrt.export.models.published_metrics import published_metric
    from segrt.export.models.verified_exports import verified
    from segrt.export.weights.licences import forbids_commercial_use

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
        else {
            "address": checkpoint.address,
            "licence": checkpoint.licence,
            "forbids_commercial_use": forbids_commercial_use(checkpoint.licence),
            "covers": checkpoint.covers,
        },
        "needs": list(model.needs),
        "published": published_metric(model),
        "verified": verified(model),
    }
