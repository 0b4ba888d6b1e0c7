"""Every command that opens a bundle has the options about engines, and hands them to the backend."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from segrt.runtime import segmenter
from segrt.runtime.bundle.locating import embedded_names
from segrt.runtime.cli import COMMANDS, LazyGroup, cli
from segrt.runtime.files.images import write_image
from segrt.runtime.inference.engine_policy import EnginePolicy
from segrt.runtime.segmenter import segmenter_opening
from segrt.runtime.streetworld import StreetWorld

STREET = "street://?seed=810000&frames=1&size=96x160"
OPENING = {"archive", "demo", "verify", "run", "compare", "stream", "profile", "tune", "eval"}
OPTIONS = {"engine_dir", "no_build", "trust_engine"}


def parameters(name: str) -> set[str | None]:
    group = LazyGroup()
    command = group.get_command(click.Context(group), name)
    assert command is not None
    return {parameter.name for parameter in command.params}


def test_commands_that_open_bundles_have_the_engine_options() -> None:
    here = [name for name, (target, _) in COMMANDS.items() if target.startswith("segrt.runtime.")]
    assert {name for name in here if parameters(name) >= OPTIONS} == OPENING
    assert parameters("build") >= {"engine_dir", "trust_engine"}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "street.png"
    write_image(path, StreetWorld(810_000).render(3.0, (96, 160)).image)
    return path


@pytest.fixture
def policies(monkeypatch: pytest.MonkeyPatch) -> list[EnginePolicy]:
    seen: list[EnginePolicy] = []
    open_backend = segmenter_opening.open_backend

    def recorded(network, *, backend, opening):
        seen.append(opening.engines)
        return open_backend(network, backend=backend, opening=opening)

    monkeypatch.setattr(segmenter_opening, "open_backend", recorded)
    return seen


@pytest.mark.skipif("street-semantic" not in embedded_names(), reason="the embedded bundles are not here")
@pytest.mark.parametrize(
    "arguments",
    [
        ("verify", "street-semantic"),
        ("run", "street-semantic", "{picture}", "--out", "{out}"),
        ("compare", "{picture}", "street-semantic", "--out", "{out}.png", "--repeat", "1"),
        ("stream", "street-semantic", "{picture}"),
        ("eval", "street-semantic", "--annotations", STREET),
        ("tune", "street-semantic", "--annotations", STREET, "--out", "{out}", "--budget", "drop<=1"),
        ("profile", "street-semantic", "--source", "{picture}", "--frames", "10", "--warmup", "0", "--no-cold"),
        ("demo", "--frames", "2", "--out", "{out}"),
    ],
    ids=lambda arguments: str(arguments[0]),
)
def test_the_engine_options_reach_the_backend(
    arguments: tuple[str, ...], picture: Path, policies: list[EnginePolicy], tmp_path: Path
) -> None:
    filled = [text.format(picture=picture, out=tmp_path / "out") for text in arguments]
    engines = ["--engine-dir", str(tmp_path / "engines"), "--no-build", "--trust-engine"]
    done = CliRunner().invoke(cli, [*filled, *engines])
    assert done.exit_code == 0, (done.output, done.exception)
    # `tune` and `verify` compare with ONNX Runtime on the CPU, which has no engines.
    given = [policy for policy in policies if policy != EnginePolicy()]
    assert given
    assert set(given) == {EnginePolicy(tmp_path / "engines", build=False, trust=True)}
    assert len(given) == len(policies) or arguments[0] in ("tune", "verify")


def test_the_cold_start_of_a_profile_has_the_engine_options_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import subprocess

    from segrt.runtime.profiling import cold
    from segrt.runtime.profiling.candidate import Candidate

    seen: list[EnginePolicy] = []
    opened = segmenter.open_segmenter

    def recorded(*arguments, engines, **options):
        seen.append(engines)
        return opened(*arguments, **options)

    def inside(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        cold.answer(command[-1])
        return subprocess.CompletedProcess(command, 0, capsys.readouterr().out, "")

    monkeypatch.setattr(segmenter, "open_segmenter", recorded)
    monkeypatch.setattr(subprocess, "run", inside)
    engines = EnginePolicy(tmp_path, build=False, trust=True)
    start = cold.cold_start(Candidate("street-semantic", "fp32", "onnxruntime", 1, None, engines), (96, 160), runs=1)
    assert seen == [engines]
    assert 0 < start.ms < 60_000
