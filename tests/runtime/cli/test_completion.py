"""A shell completes commands, options, models and bundles."""

from types import SimpleNamespace

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from segrt.runtime.bundle.kept_bundles import kept_folder
from segrt.runtime.bundle.locating import embedded_names
from segrt.runtime.cli import HOOKS, cli


def completed(words: str) -> list[str]:
    """Return what a shell is offered for the last of `words`."""
    *given, incomplete = words.split(" ")[1:]
    complete = BashComplete(cli, {}, "segrt", "_SEGRT_COMPLETE")
    return [item.value for item in complete.get_completions(given, incomplete)]


def test_commands_options_models_and_bundles_are_completed(tiny: SimpleNamespace) -> None:
    tiny.bundle("argmax", out=str(kept_folder("deeplabv3_kept")))
    assert completed("segrt pro") == ["profile"]
    assert "--skip-bad" in completed("segrt run --s")
    assert completed("segrt run deeplab") == ["deeplabv3_kept"]
    assert completed("segrt compare photo.jpg street-") == list(embedded_names())
    assert completed("segrt run some/fol") == ["some/fol"], "the shell goes on with files"
    assert completed("segrt get lraspp") == ["lraspp_mobilenet_v3_large"]
    assert "maskrcnn_resnet50_fpn" in completed("segrt export maskrcnn")


def test_without_the_exporter_models_are_not_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HOOKS, "model-names", "segrt.runtime.no_such_module:models")
    assert completed("segrt get lraspp") == []


def test_arguments_are_taken_as_they_are() -> None:
    done = CliRunner().invoke(cli, ["inspect", "street-semantic"])
    assert done.exit_code == 0, done.output
    assert "BUNDLE" in CliRunner().invoke(cli, ["run", "--help"]).output
