"""The engine cache, with NVIDIA's own builder: what fits is kept, what does not is replaced with the stated reason."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.network_files import network_file
from segrt.runtime.errors import BackendError, BundleError
from segrt.runtime.inference.engine_policy import BuildOptions, EnginePolicy
from segrt.runtime.inference.tensorrt import building
from segrt.runtime.inference.tensorrt.engine_cache import EngineCache, record_path
from segrt.runtime.inference.tensorrt.engine_record import read
from segrt.runtime.inference.tensorrt.flavor import find_flavor
from segrt.runtime.inference.tensorrt.target import Here, refuse_gpu

pytest.importorskip("tensorrt_rtx")
RTX = find_flavor("tensorrt-rtx")


@pytest.fixture
def bundle(tiny) -> Bundle:
    return read_bundle(tiny.bundle("argmax"))


@pytest.fixture
def cache(bundle: Bundle, tmp_path: Path) -> Callable[..., EngineCache]:
    """Make the cache of the tiny bundle, with other circumstances than usual."""

    def make(*, flavor=RTX, here: Here | None = None, of: Bundle = bundle, batch: int = 1, **policy) -> EngineCache:
        policy.setdefault("engine_dir", tmp_path / "engines")
        return EngineCache(network_file(of, of.variant(), batch), flavor, here or Here(), EnginePolicy(**policy))

    return make


def test_an_engine_is_built_once_and_then_found(cache, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "segrt.tensorrt")
    first = cache().get()
    assert first.reason == "there is none yet"
    assert caplog.messages == [f"building {first.path.name} with {RTX}: there is none yet"]
    again = cache().get()
    assert again.reason == ""
    assert bytes(again.plan) == first.path.read_bytes() == bytes(first.plan)
    assert len(caplog.messages) == 1


def test_the_json_beside_it_says_what_it_is(cache, bundle: Bundle) -> None:
    engine = cache().get()
    document = json.loads(record_path(engine.path).read_bytes())
    assert document["onnx_sha256"] == bundle.variant().file.sha256
    assert (document["flavor"], document["version"]) == ("tensorrt-rtx", RTX.version)
    assert document["targets"] == ["8.0", "8.6", "8.9", "12.0", "12.1"]
    assert (document["gpu"], document["sm"]) == ("", "")
    assert document["plan_bytes"] == engine.path.stat().st_size
    assert [(layer["kind"], layer["precision"]) for layer in document["layers"]] == [
        ("cast", "float32"),
        ("pooling", "float32"),
    ]
    assert document["layers_from"] == "network"


def test_another_version_of_tensorrt_rebuilds(cache) -> None:
    cache().get()
    newer = replace(RTX, version="99.0")
    assert cache(flavor=newer).get().reason == f"was built by tensorrt-rtx {RTX.version}, this is 99.0"
    assert cache(flavor=newer).get().reason == ""


def test_another_network_under_the_same_name_rebuilds(cache, tiny) -> None:
    cache().get()
    rows = tiny.semantic_model()
    rows.graph.node[-1].name = "renamed"
    other = read_bundle(tiny.bundle("argmax", out="other", model=rows))
    assert cache(of=other).get().reason == "was built from another ONNX file"


def test_a_gpu_that_it_was_not_built_for_rebuilds_for_that_one(cache) -> None:
    cache(options=BuildOptions(targets=("8.6",))).get()
    ada = Here("NVIDIA GeForce RTX 4090", "8.9", 24000, "560")
    built = cache(here=ada).get()
    assert built.reason == "was built for SM 8.6, this GPU has 8.9"
    assert "8.9" in built.record.targets
    assert built.record.gpu == "NVIDIA GeForce RTX 4090"
    assert cache(here=ada).get().reason == ""


def test_a_gpu_that_rtx_does_not_run_on_is_refused_with_the_remedy() -> None:
    with pytest.raises(BackendError, match=r"does not run on NVIDIA H100 \(SM 9\.0\), only on SM .*; install tensorrt"):
        refuse_gpu(RTX, Here("NVIDIA H100", "9.0"))
    refuse_gpu(RTX, Here("NVIDIA GeForce RTX 4090", "8.9"))
    refuse_gpu(RTX, Here("one of the future", "99.0"))
    refuse_gpu(RTX, Here())


def test_another_batch_has_an_engine_of_its_own(cache) -> None:
    one = cache()
    image = one.network.inputs[0]
    two = replace(one.network, inputs=(replace(image, shape=(2, *image.shape[1:])),))
    assert EngineCache(two, RTX, Here(), EnginePolicy()).path.name != one.path.name
    with pytest.raises(BackendError, match="fixed first dimension"):
        cache(batch=2)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1000]), "is cut off: "),
        (lambda path: path.write_bytes(bytes(path.stat().st_size)), "is not the plan that its JSON describes"),
        (lambda path: record_path(path).unlink(), "has no JSON beside it"),
        (lambda path: record_path(path).write_text('{"format": 1, "bund'), "has a JSON beside it that cannot be read"),
        (lambda path: record_path(path).write_text("[]"), "has a JSON beside it that cannot be read"),
    ],
)
def test_a_damaged_engine_is_replaced_with_the_reason(cache, damage, reason: str) -> None:
    engine = cache().get()
    whole = bytes(engine.plan)
    damage(engine.path)
    assert cache().get().reason.startswith(reason)
    assert engine.path.stat().st_size == pytest.approx(len(whole), rel=0.01)
    assert cache().get().reason == ""


def test_an_engine_from_another_device_is_taken_only_when_it_is_trusted(
    cache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    foreign = bytes(cache().get().plan)
    monkeypatch.setenv("SEGRT_CACHE", str(tmp_path / "another-device"))
    cache(build=False, trust=True).get()
    with pytest.raises(BackendError, match=r"was not built on this device .*--trust-engine"):
        cache(build=False).get()
    assert bytes(cache(trust=True).get().plan) == foreign
    assert cache().get().reason.startswith("was not built on this device")
    assert cache().get().reason == ""


def test_a_changed_record_breaks_the_seal(cache) -> None:
    engine = cache().get()
    path = record_path(engine.path)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(engine.record, gpu="another")))
    assert cache().get().reason.startswith("was not built on this device")


def test_the_key_of_the_seal_is_the_users_alone(cache, own_cache: Path) -> None:
    cache().get()
    assert (own_cache / "engine.key").stat().st_mode & 0o777 == 0o600


def test_without_building_a_missing_engine_is_an_error_with_the_remedy(cache) -> None:
    with pytest.raises(BackendError, match="there is none yet, and building is turned off; leave out --no-build"):
        cache(build=False).get()
    assert not cache().folder.exists()


def test_a_network_that_is_not_the_manifests_is_refused(cache, bundle: Bundle, tiny) -> None:
    other = tiny.save(tiny.query_model(), "other.onnx").read_bytes()
    path = bundle.folder / bundle.variant().file.path
    path.write_bytes(other)
    with pytest.raises(BundleError):
        cache().get()
    assert not cache().path.exists()


def test_ctrl_c_ends_the_build_and_leaves_the_old_engine(cache) -> None:
    before = bytes(cache().get().plan)
    steps: list[str] = []

    def interrupt(phase: str, done: int, total: int) -> None:  # noqa: ARG001 (the progress of a build)
        steps.append(phase)
        if len(steps) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        cache(progress=interrupt).get(rebuild=True)
    assert steps[0] == "Building engine"
    folder = cache().folder
    assert cache().path.read_bytes() == before
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    assert cache().get().reason == "", "the lock is free and the old engine still fits"


def test_two_processes_build_one_engine_once(bundle: Bundle, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from segrt.runtime.cli import main; main()", "build", str(bundle.folder),
               "--flavor", "tensorrt-rtx", "--engine-dir", str(tmp_path / "engines")]  # fmt: skip
    builders = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [builder.communicate(timeout=120) for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0], outputs
    assert sorted("built in" in stdout for stdout, _ in outputs) == [False, True]
    assert sorted("fits, kept" in stdout for stdout, _ in outputs) == [False, True]
    engine = next((tmp_path / "engines").glob("*.engine"))
    record = read(record_path(engine))
    assert not isinstance(record, str)
    assert record.plan_bytes == engine.stat().st_size


def test_short_memory_leads_down_the_ladder(cache, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    tried: list[int] = []
    really = building._build_in_thread

    def short_of_memory(parsed, config, progress):
        limit = config.get_memory_pool_limit(RTX.api.MemoryPoolType.WORKSPACE) >> 20
        tried.append(limit)
        if limit > 100:
            RTX.messages.add("Error Code 2: OutOfMemory (Requested size was 123 bytes)", error=True)
            return None
        return really(parsed, config, progress)

    monkeypatch.setattr(building, "_build_in_thread", short_of_memory)
    engine = cache(options=BuildOptions(workspace_mb=1024)).get()
    assert tried == [1024, 512, 128, 32]
    assert engine.record.workspace_mb == 32
    assert engine.record.options.workspace_mb == 1024
    assert sum("ran out of memory" in message for message in caplog.messages) == 3


def test_memory_that_is_never_enough_ends_with_the_reason(cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def short_of_memory(parsed, config, progress):  # noqa: ARG001 (the signature of what it stands for)
        RTX.messages.add("Error Code 2: OutOfMemory (Requested size was 123 bytes)", error=True)

    monkeypatch.setattr(building, "_build_in_thread", short_of_memory)
    with pytest.raises(BackendError, match=r"too little memory for the build.*OutOfMemory"):
        cache().get()
    assert not cache().path.exists()


def test_tf32_is_off_but_for_engines_of_that_precision_which_are_others(
    cache, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    flags = []
    configure = building._configure

    def watched(parsed, *rest):
        config = configure(parsed, *rest)
        flags.append(config.get_flag(parsed.flavor.api.BuilderFlag.TF32))
        return config

    monkeypatch.setattr(building, "_configure", watched)
    plain = cache().get()
    network = network_file(bundle, bundle.variant("tf32"))
    assert network.sha256 == bundle.variant("fp32").file.sha256
    fast = EngineCache(network, RTX, Here(), EnginePolicy(tmp_path / "engines")).get()
    assert flags == [False, True]
    assert (plain.record.options.tf32, fast.record.options.tf32, fast.record.precision) == (False, True, "tf32")
    assert plain.path != fast.path
    plain.path.write_bytes(fast.path.read_bytes())
    record_path(plain.path).write_bytes(record_path(fast.path).read_bytes())
    assert cache().get().reason == "was built with tf32 True, not False"


def test_an_engine_from_before_tf32_was_a_precision_is_built_anew(cache) -> None:
    path = cache().get().path
    document = json.loads(record_path(path).read_bytes())
    assert document["format"] == 2
    document["format"] = 1
    del document["options"]["tf32"]
    record_path(path).write_text(json.dumps(document))
    assert cache().get().reason == "has a JSON of format 1 beside it, this segrt reads 2"


@pytest.mark.parametrize(
    ("here", "options"), [(Here("NVIDIA T4", "7.5"), BuildOptions()), (Here(), BuildOptions(targets=("7.5",)))]
)
def test_tf32_is_not_built_for_gpus_without_it(
    bundle: Bundle, tmp_path: Path, here: Here, options: BuildOptions
) -> None:
    network = network_file(bundle, bundle.variant("tf32"))
    with pytest.raises(BackendError, match=r"compute capability 8\.0 or newer, and this one has 7\.5; take fp32"):
        EngineCache(network, RTX, here, EnginePolicy(tmp_path, options=options)).get()
