"""`segrt build` as a user runs it: the embedded bundles, the options, and what is refused."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from segrt.runtime.cli.build import build
from segrt.runtime.errors import BackendError
from segrt.runtime.inference.cuda.presence import gpu_files
from segrt.runtime.inference.engine_policy import BuildOptions, EnginePolicy
from segrt.runtime.inference.tensorrt import engine_cache
from segrt.runtime.inference.tensorrt.engine_cache import Engine, EngineCache, record_path
from segrt.runtime.inference.tensorrt.engine_record import read
from segrt.runtime.inference.tensorrt.flavor import find_flavor, load_flavor, version_numbers

pytest.importorskip("tensorrt_rtx")
pytestmark = pytest.mark.skipif(bool(gpu_files()), reason="there is a GPU here, which would be built for")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(build, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", ["street-semantic", "street-instance", "street-panoptic"])
@pytest.mark.prints_table("build")
def test_the_embedded_bundles_become_engines_that_are_kept(name: str, tmp_path: Path) -> None:
    first = run(name, "--engine-dir", str(tmp_path))
    assert "built in" in first
    assert f"engines: {tmp_path}" in first
    assert "for SM 8.0, 8.6, 8.9, 12.0, 12.1" in first
    engine = tmp_path / f"{name}.fp32.tensorrt-rtx.engine"
    assert engine.stat().st_size > 1e6
    record = read(record_path(engine))
    assert not isinstance(record, str)
    assert record.precisions["float32"] > 50
    if name == "street-semantic":
        assert "fits, kept" in run(name, "--engine-dir", str(tmp_path))
        assert "built in" in run(name, "--engine-dir", str(tmp_path), "--rebuild")
        layers = run(name, "--engine-dir", str(tmp_path), "--layers")
        assert "layers of the network" in layers
        assert "convolution" in layers


def test_the_policy_of_a_command_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policies = []

    class Recorded(EngineCache):
        def get(self, *, rebuild: bool = False) -> Engine:  # noqa: ARG002
            policies.append(self.policy)
            raise BackendError("enough is known")

    monkeypatch.setattr(engine_cache, "EngineCache", Recorded)
    for arguments in (("--engine-dir", str(tmp_path), "--trust-engine", "--workspace", "64"), ()):
        with pytest.raises(BackendError, match="enough is known"):
            run("street-semantic", *arguments)
    assert policies == [EnginePolicy(tmp_path, trust=True, options=BuildOptions(workspace_mb=64)), EnginePolicy()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "9.9"), "targets must be among 7.5, 8.0, .* but got 9.9"),
        (("--target", "ada"), "--target must be a compute capability such as 8.6, but got ada$"),
        (("--target", "7.5"), "Turing .*not supported"),
        (("--dla-core", "0"), "dla-core 0: tensorrt-rtx .* has no DLA"),
        (("--version-compatible",), "version-compatible: engines of tensorrt-rtx .* leave it out"),
        (("--hardware-compatible", "ampere+"), "hardware-compatible: engines of tensorrt-rtx"),
    ],
)
def test_what_the_flavour_lacks_is_refused_with_the_reason(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(BackendError, match=message):
        run("street-panoptic", "--flavor", "tensorrt-rtx", "--engine-dir", str(tmp_path), *arguments)
    assert not list(tmp_path.glob("*.engine"))


@pytest.mark.parametrize("option", ["--workspace", "--dla-core", "--batch"])
def test_numbers_out_of_range_are_refused_with_the_range(option: str) -> None:
    result = CliRunner().invoke(build, ["street-semantic", option, "99999999999999999"])
    assert result.exit_code == 2
    assert f"'{option}': 99999999999999999 is not in the range" in result.output


@pytest.mark.skipif(not isinstance(load_flavor("tensorrt"), str), reason="tensorrt is installed here")
def test_a_flavour_that_is_not_there_is_named_with_the_remedy() -> None:
    with pytest.raises(BackendError, match=r"tensorrt: No module named 'tensorrt'; `segrt doctor`"):
        find_flavor("tensorrt")
    assert find_flavor(on_gpu=False).name == "tensorrt-rtx"


def test_versions_are_read_as_numbers() -> None:
    assert version_numbers("10.13.3.9.post1") == (10, 13, 3, 9)
    assert version_numbers("11.4.0.106") > version_numbers("11.4.0")
    assert version_numbers("unknown") == (0,)
