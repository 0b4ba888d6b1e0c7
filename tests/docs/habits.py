"""The rows of docs/coming-from.md, and what their right column says is done here.

A span of code is a command of segrt, a line of Python, or a file. A comment right behind it,
`<!-- not run: REASON -->`, marks one that needs a GPU, a device or a network.
"""

import re
from dataclasses import dataclass

from code_blocks import ROOT

_SPAN = re.compile(r"(?P<link>\[)?`(?P<code>[^`]+)`(?: <!-- not run: (?P<reason>[^>]+?) -->)?")


@dataclass(frozen=True)
class Span:
    """One piece of code of a row, and why it is not run, "" where it is."""

    code: str
    reason: str

    @property
    def kind(self) -> str:
        """Return "command", "file" or "python"."""
        if self.code.startswith("segrt "):
            return "command"
        return "file" if re.search(r"^/|\.json$", self.code) else "python"


@dataclass(frozen=True)
class Row:
    """One habit: the other tool, its words, what is said here, and the code in that."""

    tool: str
    there: str
    here: str
    spans: tuple[Span, ...]

    def __str__(self) -> str:
        return f"{self.tool}: {self.there}"


def rows() -> list[Row]:
    """Return the rows of all tables, in order; links are followed elsewhere."""
    found, tool = [], ""
    for line in (ROOT / "docs" / "coming-from.md").read_text().splitlines():
        if line.startswith("## "):
            tool = line[3:]
        if not line.startswith("| ") or line == "| there | here |":
            continue
        there, here = line[2:-2].split(" | ", 1)
        spans = tuple(
            Span(match["code"], match["reason"] or "") for match in _SPAN.finditer(here) if match["link"] is None
        )
        found.append(Row(tool, there, here, spans))
    return found
