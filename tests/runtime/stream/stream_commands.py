"""`segrt stream` with a fake network as a process of its own, and what it leaves."""

import sys
from pathlib import Path

import av

# The command line with a fake network: nothing here depends on what a bundle's network sees.
FAKE_CLI = """
import sys
sys.path.insert(0, {here!r})
import conftest
import segrt.runtime.segmenter
segrt.runtime.segmenter.open_bundle = lambda *_, **__: conftest.FakeSegmenter(seconds={seconds})
from segrt.runtime.cli import main
main()
"""


def command(*arguments, seconds=0.0):
    code = FAKE_CLI.format(here=str(Path(__file__).parent), seconds=seconds)
    return [sys.executable, "-c", code, "stream", "bundle", *map(str, arguments)]


def frames_of(path):
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))
