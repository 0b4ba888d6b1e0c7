"""Whether the words of a command are such as this version takes."""

import importlib.util
import re
from collections.abc import Sequence

import click
from code_blocks import ROOT

from segrt.runtime.cli import cli

# What belongs to the system: that it is there is not ours to say.
_SYSTEM = (
    ".", "apt-get", "cat", "mkdir", "openssl", "ray", "ssh", "ssh-keygen", "sed", "source", "sudo", "tritonserver",
    "umask",
)  # fmt: skip


def trouble_with(words: Sequence[str], *, whole: bool = True) -> str | None:
    """Return what is wrong with a command, None where nothing is.

    Of `segrt` commands the name, the options and the values of choices are looked at, with `whole` also that arguments
    are complete; of `make` the targets, of `pip install` the extras, of `python -m` the module.
    """
    words = _bare(words)
    if not words:
        return None
    name = words[0].rpartition("/")[2]
    if name == "segrt":
        return _segrt(list(words[1:]), whole=whole)
    if name == "make":
        targets = re.findall(r"^([a-z0-9-]+(?: [a-z0-9-]+)*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        known = {target for line in targets for target in line.split()}
        return next((f"no target {word}" for word in words[1:] if "=" not in word and word not in known), None)
    if name == "pip":
        extras = _extras()
        asked = [extra for word in words for extra in re.findall(r"segrt\[([^\]]+)\]", word)]
        return next((f"no extra {one}" for part in asked for one in part.split(",") if one not in extras), None)
    if name in ("python", "python3"):
        module = words[words.index("-m") + 1] if "-m" in words else None
        there = module is None or importlib.util.find_spec(module) is not None
        return None if there else f"no module {module}"
    return None if name in _SYSTEM else f"no program {name} is known"


def _bare(words: Sequence[str]) -> Sequence[str]:
    """Leave out `sudo` and settings of the environment."""
    while words and (words[0] == "sudo" or re.fullmatch(r"[A-Z_]+=.*", words[0])):
        words = words[1:]
    return words


def _extras() -> set[str]:
    text = (ROOT / "pyproject.toml").read_text()
    table = text.partition("[project.optional-dependencies]\n")[2].partition("\n[project.scripts]")[0]
    return set(re.findall(r"^([a-z]+) = \[", table, re.MULTILINE))


def _segrt(words: list[str], *, whole: bool) -> str | None:
    if not words or words[0].startswith("-"):
        return None
    context = click.Context(cli, info_name="segrt")
    if words[0].isupper():  # `segrt COMMAND --help`
        return None
    command = cli.get_command(context, words[0])
    if command is None:
        return f"no command {words[0]}"
    given = [word for word in words[1:] if word not in ("--help", "-h")]
    with click.Context(command, info_name=words[0], parent=context, **command.context_settings) as own:
        try:
            values, _, _ = command.make_parser(own).parse_args(list(given))
        except click.UsageError as error:
            # In prose an option may stand without its value: `segrt stream --sink`.
            bare = isinstance(error, click.BadOptionUsage) and not isinstance(error, click.NoSuchOption)
            return None if bare and not whole else error.format_message()
        for parameter in command.params:
            value = values.get(parameter.name)
            if isinstance(parameter.type, click.Choice) and isinstance(value, str):
                try:
                    parameter.type.convert(value, parameter, own)
                except click.UsageError as error:
                    return error.format_message()
            missing = value is None or value == () or type(value).__name__ == "Sentinel"
            if whole and isinstance(parameter, click.Argument) and parameter.required and missing:
                return f"lacks {parameter.human_readable_name}"
    return None
