"""What a shell completes beside commands and options: the names of bundles and models.

`eval "$(_SEGRT_COMPLETE=bash_source segrt)"` (or zsh_source, fish_source) switches it on, which is click's way.
"""

from collections.abc import Callable, Sequence

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from segrt.runtime.errors import SegrtError

Names = Callable[[], Sequence[str]]


class BundleName(StringParamType):
    """The name of an embedded or kept bundle, or a path."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Return the names that begin so; without one, the shell completes paths."""
        from segrt.runtime.bundle.kept_bundles import kept_names
        from segrt.runtime.bundle.locating import embedded_names

        return _beginning((*embedded_names(), *kept_names()), incomplete) or [CompletionItem(incomplete, type="file")]


class ModelName(StringParamType):
    """The name of a model of the catalogue."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Return the names that begin so; none where the exporter is not there."""
        try:
            return _beginning(self._names(), incomplete)
        except SegrtError:
            return []


def complete_names(command: click.Command, model_names: Names) -> None:
    """Let the arguments of `command` that are called bundles or models, and are plain text, complete as such."""
    types = {"bundle": BundleName(), "model": ModelName(model_names)}
    for parameter in command.params:
        kind = types.get((parameter.name or "").removesuffix("s"))
        if isinstance(parameter, click.Argument) and kind is not None and parameter.type is click.STRING:
            parameter.type = kind


def _beginning(names: Sequence[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
