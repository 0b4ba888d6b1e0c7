"""Videos, pictures and jobs for the tests of archives."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "cli"))

from archive_cases import InlineCrew, encoded

from segrt.runtime.decode.rule_changes import RuleChanges
from segrt.runtime.inference.execution import Execution
from segrt.runtime.scale.archive import archive_command
from segrt.runtime.scale.archive.archive_command import Archived, Request, archived


@pytest.fixture(autouse=True)
def needs_arrow() -> None:
    """Skip where what the archive extra brings is not here."""
    pytest.importorskip("pyarrow", reason="archives need pyarrow: pip install 'segrt[archive]'")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 40 frames, 10 a second, with a key frame at every eighth."""
    return encoded(tmp_path_factory.mktemp("videos") / "clip.mp4")


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Archived]:
    """Archive in this process: (bundle, *sources, out=…, …); what was done is in `archive.crews`."""

    def call(bundle: object, *sources: object, out: Path, seconds: float = 0.7, **options: Any) -> Archived:
        def kind(request: Request) -> Callable[[Any], InlineCrew]:  # noqa: ARG001
            def make(job: Any) -> InlineCrew:
                call.crews.append(InlineCrew(job))  # type: ignore[attr-defined]
                return call.crews[-1]  # type: ignore[attr-defined]

            return make

        monkeypatch.setattr(archive_command, "_crew_kind", kind)
        request = Request(
            str(bundle), tuple(map(str, sources)), str(out), options.pop("changes", RuleChanges()),
            options.pop("execution", Execution(threads=1)), clip_seconds=seconds, **options,
        )  # fmt: skip
        return archived(request, lambda _: None, call.said.append)  # type: ignore[attr-defined]

    call.crews, call.said = [], []  # type: ignore[attr-defined]
    return call
