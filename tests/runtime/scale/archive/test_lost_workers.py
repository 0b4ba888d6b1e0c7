"""Workers that die in the midst of a clip: the clip is done by another, once; one that always kills is given up."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from archive_cases import HungryOpening, InlineCrew, KilledOpening, PoisonedOpening

from segrt.runtime.errors import SegrtError
from segrt.runtime.scale.archive import archive_command
from segrt.runtime.scale.archive.archive_command import Archived, Request, archived
from segrt.runtime.scale.archive.archive_job import ArchiveJob, LostOutcome
from segrt.runtime.scale.archive.crew import Finished
from segrt.runtime.scale.archive.local_crew import LocalCrew

Parts = dict[str, bytes]


def parts(out: Path) -> Parts:
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in out.glob("*/clip-*.parquet")}


@pytest.fixture
def by_processes(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Archived]:
    """Archive with two processes whose bundle is opened by what `opening` makes of the usual one."""

    def call(request: Request, opening: Callable[[Any], Any]) -> Archived:
        def kind(asked: Request) -> Callable[[ArchiveJob], LocalCrew]:
            return lambda job: LocalCrew(replace(job, opening=opening(job.opening)), asked.workers or 2)

        monkeypatch.setattr(archive_command, "_crew_kind", kind)
        return archived(request, lambda _: None, print)

    return call


@pytest.fixture
def request_for(tiny: SimpleNamespace) -> Callable[..., Request]:
    """What to archive, with a small bundle and clips of eight frames."""
    from segrt.runtime.decode.rule_changes import RuleChanges
    from segrt.runtime.inference.execution import Execution

    bundle = str(tiny.bundle("query_instances"))

    def make(out: Path, *sources: Path) -> Request:
        names = tuple(map(str, sources))
        return Request(bundle, names, str(out), RuleChanges(), Execution(threads=1), clip_seconds=0.7)

    return make


def test_a_killed_process_costs_no_clip_and_doubles_none(
    clip: Path, request_for: Callable[..., Request], by_processes: Any, archive: Any, tmp_path: Path
) -> None:
    out, alone = tmp_path / "out", tmp_path / "alone"
    done = by_processes(request_for(out, clip), lambda usual: KilledOpening(usual, str(tmp_path)))
    assert (done.totals.lost, done.totals.failures, done.totals.frames) == (1, 0, 40)
    archive(request_for(out).bundle, clip, out=alone)
    assert parts(out) == parts(alone)
    assert len(parts(out)) == 10


def test_a_worker_out_of_memory_gives_its_clip_back(
    clip: Path, request_for: Callable[..., Request], by_processes: Any, tmp_path: Path
) -> None:
    flag = tmp_path / "eaten"
    done = by_processes(request_for(tmp_path / "out", clip), lambda usual: HungryOpening(usual, str(flag)))
    assert flag.exists()
    assert (done.totals.lost, done.totals.failures, done.totals.frames) == (1, 0, 40)


def test_a_clip_that_kills_every_worker_is_a_failure_and_others_go_on(
    clip: Path, request_for: Callable[..., Request], by_processes: Any, tmp_path: Path
) -> None:
    poison = tmp_path / "poison.mp4"
    with av.open(str(poison), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(2):
            picture = np.full((64, 96, 3), 255, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    out = tmp_path / "out"
    done = by_processes(request_for(out, poison, clip), PoisonedOpening)
    assert (done.totals.failures, done.totals.lost, done.totals.frames) == (1, 3, 40)
    said = done.totals.first_failure
    assert "poison.mp4: its worker was ended by SIGKILL, for lack of memory perhaps, 3 times" in said
    assert len(list((out / "frames").iterdir())) == 5
    assert sorted(path.name for path in (out / "segments").iterdir()) == sorted(
        path.name for path in (out / "frames").iterdir()
    )


def test_workers_that_never_stay_alive_end_the_run(
    clip: Path, request_for: Callable[..., Request], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class DeadCrew(InlineCrew):
        """Loses whatever it is given."""

        def wait(self, seconds: float) -> list[Finished]:  # noqa: ARG002 (the protocol's)
            """Lose it now."""
            return [Finished(self.tasks.popleft(), LostOutcome("its worker ended with code 9"))]

    monkeypatch.setattr(archive_command, "_crew_kind", lambda _: DeadCrew)
    sources = [tmp_path / f"{name}.mp4" for name in "abc"]
    for source in sources:
        shutil.copy(clip, source)
    with pytest.raises(SegrtError, match="no worker stays alive, 6 ended: its worker ended with code 9"):
        archived(request_for(tmp_path / "out", *sources), lambda _: None, print)
    assert list((tmp_path / "out" / "frames").iterdir()) == []
