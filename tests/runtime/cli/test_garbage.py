"""A stream's process does not look through what is no garbage."""

import gc
from typing import Any

import pytest

from segrt.runtime.cli.garbage import only_new_garbage
from segrt.runtime.stream.pipeline import Pipeline


def test_what_exists_is_out_of_the_collectors_sight_for_so_long() -> None:
    with only_new_garbage():
        assert gc.get_freeze_count() > 1000
    assert gc.get_freeze_count() == 0


def test_a_stream_runs_so(segrt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    frozen: list[int] = []
    monkeypatch.setattr(Pipeline, "run", lambda *_: frozen.append(gc.get_freeze_count()))
    segrt("stream", "street-semantic", "street://?width=64&height=48", "--max-frames", "1", "--threads", "1")
    assert len(frozen) == 1
    assert frozen[0] > 1000
    assert gc.get_freeze_count() == 0
