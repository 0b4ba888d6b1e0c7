"""What the site has beside the files of docs/: the project's own pages, and references made from the code itself."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.structure.files import File, Files

from segrt.runtime.cli import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ROOT / "build" / "docs-packages" / "segrt"
# Where the pages of the root lie on the site.
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
PAGES |= {f"benchmarks/{path.name}": f"benchmarks/{path.name}" for path in (ROOT / "benchmarks").glob("*.md")}
FILES = ("benchmarks/*.png", "examples/*.*", "examples/jetson/*")
API = {
    "Opening a bundle": "segrt.runtime",
    "Results": "segrt.runtime.results",
    "Video": "segrt.runtime.stream",
    "Tracking": "segrt.runtime.tracking",
    "Drawing": "segrt.runtime.draw",
    "Errors": "segrt.runtime.errors",
    "Post-processing alone": "segrt.runtime.postproc",
}


def lay_out_packages() -> None:
    """Lay the rooms out as the packages that they become, for mkdocstrings to read."""
    PACKAGES.mkdir(parents=True, exist_ok=True)
    for room in ("runtime", "export"):
        place = PACKAGES / room
        if not place.is_symlink():
            place.symlink_to(ROOT / room)


lay_out_packages()  # before any plugin looks for them


def on_files(files: Files, config: Any) -> Files:
    """Add the project's pages, the files that pages link to, and the references."""
    for source, place in PAGES.items():
        files.append(File.generated(config, place, content=_linked((ROOT / source).read_text(), source)))
    for pattern in FILES:
        for path in (path for path in ROOT.glob(pattern) if path.is_file()):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    files.append(File.generated(config, "commands.md", content=commands_page()))
    files.append(File.generated(config, "api.md", content=api_page()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links of docs/ to the rest of the project lead to its place on the site."""
    up = "../" * page.file.src_uri.count("/")
    return re.sub(rf"\]\({re.escape('../' + up)}(examples|benchmarks)/", rf"]({up}\1/", markdown)


def _linked(text: str, source: str) -> str:
    """Return a page of the root with its links as they are on the site."""
    text = re.sub(r"\]\(docs/", "](", text) if "/" not in source else text.replace("](../docs/", "](../")
    for other, place in PAGES.items():
        if "/" not in source:
            text = text.replace(f"]({other})", f"]({place})")
    return text


def commands_page() -> str:
    """Return the reference of every command, from the commands themselves."""
    lines = ["# Commands", "", "Made from `segrt COMMAND --help`.", ""]
    context = click.Context(cli, info_name="segrt")
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        with click.Context(command, info_name=name, parent=context) as own:
            formatter = own.make_formatter()
            formatter.width = 100
            command.format_help_text(own, formatter)
            described = "\n\n".join(_paragraphs(formatter.getvalue()))
            usage = " ".join([f"segrt {name}", *command.collect_usage_pieces(own)])
            lines += [f"## segrt {name}", "", f"```text\n{usage}\n```", "", described, ""]
            lines += ["| option | |", "|---|---|", *_rows(command, own), ""]
    return "\n".join(lines)


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        yield _plain(" ".join(line.strip() for line in paragraph.splitlines()))


def _rows(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            option, text = record
            yield f"| `{option}` | {_plain(text)} |"


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is; what stands in backticks is code."""
    parts = text.split("`")
    for index in range(0, len(parts), 2):
        escaped = re.sub(r"([\\*_\[\]{}#])", r"\\\1", parts[index])
        parts[index] = escaped.replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;")
    return "`".join(parts)


def api_page() -> str:
    """Return the reference of the Python API: what each public room names in its `__all__`."""
    lines = ["# Python", "", "Made from the docstrings.", ""]
    for title, module in API.items():
        lines += [f"## {title}", ""]
        for name in _names(module):
            lines += [f"::: {name}", ""]
    return "\n".join(lines)


def _names(module: str) -> Iterator[str]:
    """Yield where each public function and class of a module is defined."""
    loaded = importlib.import_module(module)
    public = getattr(loaded, "__all__", None) or [
        name for name, value in vars(loaded).items() if getattr(value, "__module__", "") == module
    ]
    for name in public:
        value = getattr(loaded, name)
        if callable(value) and getattr(value, "__module__", "").startswith("segrt."):
            yield f"{value.__module__}.{value.__qualname__}"
