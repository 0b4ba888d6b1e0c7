"""The code blocks of README and docs/, and what is said of them in the source.

A block stands in a fence with its language. A comment right before it, `<!-- not run: REASON -->`, marks one that needs
root, a device, a hub or minutes.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(
    r"^(?: *<!-- not run: (?P<reason>[^\n]+?) -->\n+)?"
    r"(?P<indent> *)```(?P<language>[a-z]*)\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_INLINE = re.compile(r"(?<!`)`(segrt [a-z][^`]*)`(?!`)")
SHELLS = ("sh", "console")
_ENDS = ("&&", "||", "|", ";", "<", ">", ">>", "&")


@dataclass(frozen=True)
class Block:
    """One block: where it stands, its language, its text, and why it is not run, "" where it is."""

    page: str
    line: int
    language: str
    code: str
    reason: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Return README and every page of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks() -> list[Block]:
    """Return all blocks of all pages."""
    found = []
    for path in pages():
        text = path.read_text()
        page = path.relative_to(ROOT).as_posix()
        for match in _BLOCK.finditer(text):
            line = text.count("\n", 0, match.start("language")) + 1
            code = re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
            found.append(Block(page, line, match["language"], code, match["reason"] or ""))
    return found


def commands(block: Block) -> list[list[str]]:
    """Return the words of every command of a shell block, without comments; of a console only what follows `$`."""
    code = re.sub(r"<<'(\w+)'\n.*?^\1$", "", block.code, flags=re.MULTILINE | re.DOTALL).replace("\\\n", " ")
    lines = code.splitlines()
    if block.language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    return [command for line in lines for command in split(line)]


def split(line: str) -> Iterator[list[str]]:
    """Yield the commands of a line."""
    words: list[str] = []
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
    lexer.whitespace_split = True
    lexer.commenters = "#" if re.search(r"(^|\s)#", line) else ""
    for word in lexer:
        if word in _ENDS:
            if words:
                yield words
            words = []
        else:
            words.append(word)
    if words:
        yield words


def inline_commands() -> list[tuple[str, list[str]]]:
    """Return every `segrt …` within a line of prose: its page and its words."""
    found = []
    for path in pages():
        text = _BLOCK.sub("", path.read_text())
        for match in _INLINE.finditer(text):
            line = " ".join(match[1].replace("…", " ").split())
            found += [(path.relative_to(ROOT).as_posix(), words) for words in split(line)]
    return found
