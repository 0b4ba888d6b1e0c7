"""`segrt export-triton`: repositories that a server takes, versions that rise, refusals in one line."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from cli_calls import fails

from segrt.runtime import open_bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import BundleError, ImageError, SegrtError
from segrt.runtime.files.images import encode_image
from segrt.runtime.scale.triton import repository
from segrt.runtime.scale.triton.repository import export_model
from segrt.runtime.scale.triton.served_model import Request, ServedModel
from segrt.runtime.scale.triton.serving_options import ServingOptions, batch_sizes
from segrt.runtime.segmenter import Segmenter

Segrt = Callable[..., tuple[int, str, str]]


def config_of(folder: Path):
    text_format = pytest.importorskip("google.protobuf.text_format")
    model_config = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    return text_format.Parse((folder / "config.pbtxt").read_text(), model_config.ModelConfig())


def test_the_configuration_says_what_the_manifest_says(tiny: SimpleNamespace, tmp_path: Path, segrt: Segrt) -> None:
    options = ("--max-batch", 8, "--instances", 2, "--max-queue", 5, "--queue-delay", "2ms", "--versions", 2)
    gpu = ("--kind", "gpu", "--gpu", 0, "--gpu", 2, "--environment", "/opt/segrt.tar.gz")
    code, out, err = segrt("export-triton", tiny.batched_semantic(), "--out", tmp_path / "m", *options, *gpu)
    assert (code, err) == (0, "")
    assert "version 1, semantic, batches of up to 8" in out
    assert "triton://HOST:8001/tiny-argmax" in out
    folder = tmp_path / "m" / "tiny-argmax"
    config = config_of(folder)
    assert (config.name, config.backend, config.max_batch_size) == ("tiny-argmax", "python", 8)
    assert config.version_policy.latest.num_versions == 2
    assert [(one.name, list(one.dims), one.optional) for one in config.input] == [
        ("encoded", [-1], True),
        ("image", [-1, -1, 3], True),
    ]
    assert [one.name for one in config.output] == ["class_map", "nonfinite_heads", "description"]
    assert (folder / config.output[0].label_filename).read_text().splitlines() == [one.name for one in tiny.labels]
    (group,) = config.instance_group
    assert (group.count, group.kind == group.KIND_GPU, list(group.gpus)) == (2, True, [0, 2])
    batching = config.dynamic_batching
    assert (batching.max_queue_delay_microseconds, batching.default_queue_policy.max_queue_size) == (2000, 5)
    (warmup,) = config.model_warmup
    sample = warmup.inputs["image"]
    height, width, channels = sample.dims
    assert (folder / "warmup" / sample.input_data_file).stat().st_size == height * width * channels
    parameters = {name: value.string_value for name, value in config.parameters.items()}
    assert parameters["EXECUTION_ENV_PATH"] == "/opt/segrt.tar.gz"
    assert parameters["segrt_version"]
    assert len(parameters["bundle_digest"]) == 64


def test_versions_rise_and_the_old_ones_stay(tiny: SimpleNamespace, tmp_path: Path) -> None:
    bundle = read_bundle(tiny.bundle("argmax"))
    folders = [export_model(bundle, tmp_path / "m", ServingOptions()) for _ in range(3)]
    assert [one.version for one in folders] == [1, 2, 3]
    assert {entry.name for entry in folders[0].folder.iterdir()} == {
        "1", "2", "3", "config.pbtxt", "labels.txt", "warmup",
    }  # fmt: skip
    (folders[0].folder / "12").mkdir()
    with pytest.raises(BundleError, match="is there and is no model of segrt"):
        export_model(bundle, tmp_path / "m", ServingOptions())
    other = read_bundle(tiny.bundle("merge_queries"))
    (folders[0].folder / "12").rmdir()
    with pytest.raises(BundleError, match="is a semantic model, but the bundle is panoptic"):
        export_model(other, tmp_path / "m", ServingOptions(name="tiny-argmax"))
    assert (folders[0].folder / "3").is_dir()


def test_wrong_use_is_refused_in_one_line(tiny: SimpleNamespace, tmp_path: Path, segrt: Segrt) -> None:
    bundle, out = tiny.bundle("argmax"), ("--out", tmp_path / "m")
    fails(segrt("export-triton", bundle, *out, "--max-batch", 2), 2, "--max-batch 2", "one picture at a time")
    fails(segrt("export-triton", bundle, *out, "--gpu", 1), 2, "is for --kind gpu")
    fails(segrt("export-triton", bundle, bundle, *out), 2, "export it alone with --name")
    fails(segrt("export-triton", bundle, bundle, *out, "--name", "x"), 2, "is for one bundle")
    fails(segrt("export-triton", bundle, *out, "--name", "a/b"), 2, "--name must be one plain file name")
    fails(segrt("export-triton", bundle, *out, "--precision", "fp64"), 2, "no variant of precision 'fp64'")
    fails(segrt("export-triton", bundle, *out, "--backend", "caffe"), 2, "backend must be auto or one of")
    fails(segrt("export-triton", tmp_path / "none", *out), 2, "there is no such bundle")
    fails(segrt("export-triton", "triton://h/x", *out), 2, "is an address")
    network = bundle / "model.fp32.onnx"
    network.write_bytes(network.read_bytes()[:-1] + b"!")
    fails(segrt("export-triton", bundle, *out), 2, "changed or damaged")
    assert not list((tmp_path / "m").glob("*")), "a server refuses folders without a configuration"
    (tmp_path / "file").write_text("")
    fails(segrt("export-triton", tiny.bundle("binary"), "--out", tmp_path / "file" / "m"), 2, "cannot be made a folder")


def test_a_served_model_answers_each_request_by_itself(tiny: SimpleNamespace, tmp_path: Path) -> None:
    bundle = tiny.batched_semantic()
    written = export_model(read_bundle(bundle), tmp_path / "m", ServingOptions(batch=4, threads=1))
    pictures = [tiny.thirds(20 + size, 40) for size in range(7)]
    requests = [Request(picture) for picture in pictures]
    requests[2] = Request(b"none")
    requests[3] = Request(encode_image(pictures[3], ".png"))
    requests[5] = Request(pictures[5], {"score_threshold": "0.5"})
    requests.append(Request(pictures[0], {"bundle": "0" * 64}))
    model = ServedModel(written.folder / "1")
    answers = model.answer(requests)
    model.close()
    assert isinstance(answers[2], ImageError)
    assert isinstance(answers[5], BundleError)
    assert "has no score_threshold" in str(answers[5])
    assert "has another bundle now" in str(answers[7])
    with open_bundle(bundle, threads=1) as segmenter:
        for index in (0, 1, 3, 4, 6):
            answer = answers[index]
            assert not isinstance(answer, Exception)
            assert (answer["class_map"][0] == segmenter(pictures[index]).class_map).all()


@pytest.mark.parametrize("step", ["preprocess", "postprocess"])
def test_a_fault_of_ours_leaves_every_slot_for_the_next_requests(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    written = export_model(read_bundle(tiny.batched_semantic()), tmp_path / "m", ServingOptions(batch=2, threads=1))
    model = ServedModel(written.folder / "1")
    requests = [Request(tiny.thirds(20, 40)) for _ in range(9)]

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError(step)

    with monkeypatch.context() as patch:
        patch.setattr(Segmenter, step, fail)
        for _ in range(4):  # more often than there are slots
            with pytest.raises(ZeroDivisionError, match=step):
                model.answer(requests)
    assert not any(isinstance(answer, Exception) for answer in model.answer(requests))
    model.close()


def test_a_version_whose_configuration_cannot_be_written_is_not_left(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = read_bundle(tiny.bundle("argmax"))
    folder = export_model(bundle, tmp_path / "m", ServingOptions()).folder

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(repository, "config_text", full)
    with pytest.raises(SegrtError, match="cannot be written"):
        export_model(bundle, tmp_path / "m", ServingOptions())
    assert not (folder / "2").exists()
    assert (folder / "config.pbtxt").exists()


def test_a_first_version_that_another_command_wrote_meanwhile_stays(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = read_bundle(tiny.bundle("argmax"))

    def after_another(_: Path) -> Path:
        monkeypatch.undo()
        other = export_model(bundle, tmp_path / "m", ServingOptions()).folder
        monkeypatch.setattr(repository, "config_text", full)
        return other

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(repository, "make_folder", after_another)
    with pytest.raises(SegrtError, match="cannot be written"):
        export_model(bundle, tmp_path / "m", ServingOptions())
    left = sorted(entry.name for entry in (tmp_path / "m" / bundle.manifest.name).iterdir())
    assert left == ["1", "config.pbtxt", "labels.txt", "warmup"]


def test_versions_that_are_served_together_have_the_same_tensors(tiny: SimpleNamespace, tmp_path: Path) -> None:
    bundle = read_bundle(tiny.bundle("argmax"))
    folder = export_model(bundle, tmp_path / "m", ServingOptions()).folder
    export_model(bundle, tmp_path / "m", ServingOptions(versions=2))
    many = tuple(msgspec.structs.replace(bundle.manifest.labels[0], name=f"c{index}") for index in range(300))
    wide = msgspec.structs.replace(bundle.manifest, labels=many)  # whose class map has two bytes
    repository._refuse_other_model(folder, wide, 1)
    with pytest.raises(BundleError, match="tensors of other types, so that both cannot be served"):
        repository._refuse_other_model(folder, wide, 2)


def test_a_model_of_another_segrt_does_not_load(tiny: SimpleNamespace, tmp_path: Path) -> None:
    written = export_model(read_bundle(tiny.bundle("argmax")), tmp_path / "m", ServingOptions())
    serving = written.folder / "1" / "serving.json"
    serving.write_text(serving.read_text().replace('"segrt": "', '"segrt": "9'))
    with pytest.raises(BundleError, match=r"was exported by segrt 9.*install the same version"):
        ServedModel(written.folder / "1")


def test_batches_are_kept_ready_in_powers_of_two() -> None:
    assert [batch_sizes(most) for most in (1, 2, 6, 8)] == [(1,), (2, 1), (6, 4, 2, 1), (8, 4, 2, 1)]
