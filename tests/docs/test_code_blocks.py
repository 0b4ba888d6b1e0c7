"""Every code block of README and docs/ is run, or marked and checked; every command named in prose exists."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import code_blocks
import pytest
from click.testing import CliRunner
from code_blocks import ROOT, Block
from command_words import trouble_with

from segrt.runtime.bundle.locating import embedded_names
from segrt.runtime.cli import cli

BLOCKS = code_blocks.blocks()
RUN = [block for block in BLOCKS if not block.reason]
REASONS = (
    "a camera",
    "a checkpoint",
    "a device",
    "a GPU",
    "a hub",
    "an ONNX file",
    "interrupted",
    "minute",
    "root",
    "tests/",
    "the whole",
)
"""What may keep a block from being run."""
FRAMES = "10"  # whatever a page says: fewer are enough to see that it works
needs_bundles = pytest.mark.skipif(
    "street-panoptic" not in embedded_names(), reason="the embedded bundles are not here"
)


def test_blocks_that_are_not_run_say_why_and_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    marked = [block for block in BLOCKS if block.reason]
    with capsys.disabled():
        print(f"\n{len(RUN)} blocks are run or read, {len(marked)} are checked only:")
        for block in marked:
            print(f"  {block} {block.language}: {block.reason}")
    assert len(RUN) > len(marked) / 2
    assert [str(block) for block in marked if not any(reason in block.reason for reason in REASONS)] == []


def test_every_command_of_a_block_is_one_of_this_version() -> None:
    troubles = [
        f"{block}: {' '.join(words)}: {trouble}"
        for block in BLOCKS
        if block.language in code_blocks.SHELLS
        for words in code_blocks.commands(block)
        if (trouble := trouble_with(words)) is not None
    ]
    assert troubles == []


def test_every_command_in_prose_is_one_of_this_version() -> None:
    found = code_blocks.inline_commands()
    assert len(found) > 100
    troubles = [
        f"{page}: {' '.join(words)}: {trouble}"
        for page, words in found
        if words[0] == "segrt" and (trouble := trouble_with(words, whole=False)) is not None
    ]
    assert troubles == []


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        ("segrt run street-panoptic photo.jpg --out x", None),
        ("segrt rum x", "no command rum"),
        ("segrt run x y --no-such-option", "No such option"),
        ("segrt run x y --decode never", "is not one of"),
        ("segrt compare", "lacks"),
        ("make nothing", "no target nothing"),
        ("pip install 'segrt[nothing]'", "no extra nothing"),
        ("python -m segrt.nothing", "no module segrt.nothing"),
        ("cuml x", "no program cuml"),
    ],
)
def test_wrong_words_are_seen(line: str, trouble: str | None) -> None:
    (words,) = code_blocks.split(line)
    said = trouble_with(words)
    assert said is None if trouble is None else trouble in str(said)


@needs_bundles
@pytest.mark.parametrize("block", [one for one in RUN if one.language in code_blocks.SHELLS], ids=str)
def test_shell_blocks_run(block: Block, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    for words in code_blocks.commands(block):
        if "--frames" in words:
            words[words.index("--frames") + 1] = FRAMES
        if words[0] == "python":
            subprocess.run([sys.executable, *words[1:]], check=True, capture_output=True)
            continue
        assert words[0] == "segrt", f"{words[0]} is not run here; mark the block"
        done = CliRunner().invoke(cli, words[1:])
        assert done.exit_code == 0, f"{' '.join(words)}: {done.output} {done.exception}"


@needs_bundles
@pytest.mark.parametrize("page", sorted({block.page for block in RUN if block.language == "python"}))
def test_python_blocks_run(page: str, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    lines = '{"pts": 0.0, "segments": [{"name": "car", "isthing": true}]}\n'
    Path("out.jsonl").write_text(lines)
    known: dict[str, object] = {"__name__": "block"}
    for block in RUN:
        if block.page == page and block.language == "python":
            code = re.sub(r"rtsp://[^\"]*", "clip.mp4", block.code)
            exec(compile(code, str(block), "exec"), known)


def test_other_blocks_are_well_formed() -> None:
    kinds = Counter(block.language for block in BLOCKS)
    assert set(kinds) <= {
        "",
        "sh",
        "console",
        "python",
        "json",
        "yaml",
        "dockerfile",
        "text",
        "ini",
        "powershell",
        "bash",
    }
    for block in BLOCKS:
        if block.language == "json":
            json.loads(block.code)
        if block.language == "python" and block.reason:
            compile(block.code, str(block), "exec")


def test_troubleshooting_quotes_messages_that_there_are() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    quoted = [line[5:-1] for line in page.splitlines() if line.startswith('### "')]
    sources = "\n".join(path.read_text() for room in ("runtime", "export") for path in (ROOT / room).rglob("*.py"))
    assert len(quoted) > 20
    assert [words for words in quoted if words not in sources] == []


def test_pictures_are_small() -> None:
    pictures = [path for path in (ROOT / "docs").rglob("*") if path.suffix in (".jpg", ".png")]
    assert len(pictures) >= 4
    assert [path.name for path in pictures if path.stat().st_size > 150_000] == []
