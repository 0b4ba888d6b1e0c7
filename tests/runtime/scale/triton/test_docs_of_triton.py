"""The blocks of docs/triton.md that need a server are run against one."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from triton_server import TritonServer

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "docs"))

import code_blocks

pytestmark = pytest.mark.timeout(120)
BLOCKS = [
    block for block in code_blocks.blocks() if block.page == "docs/triton.md" and "against a server" in block.reason
]


def test_there_are_blocks_to_run() -> None:
    assert {block.language for block in BLOCKS} == {"sh", "python"}


def test_the_blocks_that_need_a_server_run(
    server: TritonServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, segrt: Callable[..., tuple[int, str, str]]
) -> None:
    from segrt.runtime.streetworld.__main__ import main as make_streets

    monkeypatch.chdir(tmp_path)
    make_streets.main(["streets", "--frames", "3", "--size", "96x160"], standalone_mode=False)
    make_streets.main(["clip.mp4", "--frames", "6", "--size", "96x160"], standalone_mode=False)
    shutil.move("streets/images", "images")
    shutil.move("streets/panoptic", "panoptic")
    shutil.move("streets/panoptic.json", "panoptic.json")
    picture = next(Path("images").iterdir())
    shutil.copy(picture, "photo.jpg")
    for block in BLOCKS:
        code = re.sub(r"127\.0\.0\.1:8001", f"127.0.0.1:{server.port}", block.code)
        if block.language == "python":
            exec(compile(code, str(block), "exec"), {"__name__": "block"})
            continue
        for line in code.splitlines():
            name, *words = line.split()
            assert name == "segrt"
            code_, _, err = segrt(*words)
            assert code_ == 0, err
