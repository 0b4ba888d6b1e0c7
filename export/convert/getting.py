"""Published models by name: fetched, exported, verified, and kept in segrt's cache, where every command finds them."""

from collections.abc import Callable
from pathlib import Path

from segrt.export.convert.export_options import ExportOptions
from segrt.export.convert.exporting import export_model
from segrt.export.family import Model, Weights
from segrt.export.models.catalogue import find_model
from segrt.runtime.bundle.kept_bundles import is_kept, kept_folder
from segrt.runtime.errors import SegrtError
from segrt.runtime.files.atomic import make_folder

_BYTES_PER_PARAMETER = 4

Say = Callable[[str], None]


def get_model(
    name: str,
    *,
    weights: Path | None = None,
    precisions: tuple[str, ...] = ("fp32",),
    overwrite: bool = False,
    threads: int = 0,
    say: Say = lambda line: None,  # noqa: ARG005
) -> None:
    """Fetch the published weights of the model `name` (or read `weights`), export, verify and keep its bundle.

    One that is kept already is left alone unless `overwrite`. Raises SegrtError for an unknown model, one without
    published weights and where they cannot be fetched, with the file to fetch and where to put it; CheckFailed when
    the export differs from torch. Nothing is kept then.
    """
    model = find_model(name)
    folder = kept_folder(name)
    if is_kept(name) and not overwrite:
        return
    if weights is None:
        _check_published(model)
        assert model.checkpoint is not None
        size = f"about {model.parameters * _BYTES_PER_PARAMETER / 1e6:.0f} MB, " if model.parameters else ""
        say(f"{name}: weights of {size}licence {model.checkpoint.licence}, from {model.checkpoint.address}")
    chosen = Weights("pretrained") if weights is None else Weights("file", weights)
    make_folder(folder.parent)
    options = ExportOptions(chosen, precisions=precisions, overwrite=overwrite, threads=threads)
    done = export_model(name, folder, options, say=lambda line: say(f"{name}: {line}"))
    if done.failed:
        raise next(iter(done.failed.values()))


def get_missing(names: tuple[str, ...], say: Say) -> None:
    """Get those of the models `names` that are not kept yet; see `get_model`."""
    for name in names:
        try:
            get_model(name, say=say)
        except SegrtError as error:  # noqa: PERF203  # its remedy is an option of `segrt get`, which the caller lacks
            text = str(error).replace("give it with --weights FILE", f"`segrt get {name} --weights FILE`")
            raise type(error)(text) from None


def _check_published(model: Model) -> None:
    if model.checkpoint is None or model.checkpoint.covers != "network":
        covers = "" if model.checkpoint is None else f" but for its {model.checkpoint.covers}"
        raise SegrtError(
            f"{model.name}: has no published weights{covers}; give yours with --weights FILE, or take another model of "
            "`segrt models`"
        )
