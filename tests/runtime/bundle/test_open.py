"""A bundle is opened only when its files are what the manifest says; nothing outside its folder is read."""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from segrt.runtime import open_bundle
from segrt.runtime.bundle.locating import embedded_names, read_bundle
from segrt.runtime.errors import BackendError, BundleError
from segrt.runtime.inference.onnx_scan import refuse_external_data


def test_a_changed_network_is_refused(tiny: SimpleNamespace) -> None:
    folder = tiny.bundle("argmax")
    path = folder / "model.fp32.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match=r"model\.fp32\.onnx: has SHA-256 .* but the manifest says .*copy the bundle"):
        open_bundle(folder)


def test_a_network_of_another_length_is_refused_without_hashing(tiny: SimpleNamespace) -> None:
    folder = tiny.bundle("argmax")
    with (folder / "model.fp32.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match=r"has \d+ bytes, but the manifest says \d+"):
        open_bundle(folder)


def test_hashes_are_computed_once_per_size_and_time_and_always_in_full(
    tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.bundle("argmax")
    hashed = []
    monkeypatch.setattr(
        "segrt.runtime.files.file_check.sha256",
        lambda path: hashed.append(path.name) or bundle.manifest.variants[0].file.sha256,
    )
    bundle = read_bundle(folder)
    file = bundle.manifest.variants[0].file
    shutil.rmtree(os.environ["SEGRT_CACHE"])
    bundle.checked(file)
    bundle.checked(file)
    assert len(hashed) == 1
    bundle.checked(file, full=True)
    assert len(hashed) == 2
    os.utime(folder / file.path, (1, 1))
    bundle.checked(file)
    assert len(hashed) == 3


def test_an_unusable_cache_costs_time_only(tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.bundle("argmax")
    monkeypatch.setenv("SEGRT_CACHE", "/dev/null/nowhere")
    with open_bundle(folder, threads=1) as segmenter:
        assert segmenter(tiny.thirds(8, 8)).timings is not None


@pytest.mark.parametrize("name", ["manifest.json", "model.fp32.onnx", "golden"])
def test_links_are_not_followed(tiny: SimpleNamespace, tmp_path: Path, name: str) -> None:
    folder = tiny.bundle("argmax")
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="is a link; a bundle holds plain files only"):
        _check_all(folder)


def test_a_link_to_a_bundle_is_fine(tiny: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(tiny.bundle("argmax"))
    with open_bundle(tmp_path / "current", threads=1) as segmenter:
        assert segmenter.technique == "semantic"


def test_a_missing_file_is_named(tiny: SimpleNamespace) -> None:
    folder = tiny.bundle("argmax")
    (folder / "model.fp32.onnx").unlink()
    with pytest.raises(BundleError, match=r"model\.fp32\.onnx: is missing; copy the bundle again"):
        open_bundle(folder)


def test_what_is_no_bundle_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file.onnx").touch()
    for path, message in (
        (tmp_path, r"is no bundle, it has no manifest\.json"),
        (tmp_path / "gone", "there is no such bundle"),
        (tmp_path / "file.onnx", r"is a file, not a bundle.*segrt adopt"),
    ):
        with pytest.raises(BundleError, match=message):
            open_bundle(path)


def test_embedded_bundles_open_by_name() -> None:
    for name in embedded_names():
        assert read_bundle(name).manifest.name == name


def test_unknown_precision_and_backend_list_what_there_is(tiny: SimpleNamespace) -> None:
    folder = tiny.bundle("argmax")
    with pytest.raises(BundleError, match="has no variant of precision 'int4'; it has fp32"):
        open_bundle(folder, precision="int4")
    with pytest.raises(BackendError, match=r"backend must be auto or one of tensorrt, onnxruntime.*, but got 'abacus'"):
        open_bundle(folder, backend="abacus")
    with pytest.raises(BackendError, match="threads must be 0"):
        open_bundle(folder, threads=-1)


def _with_external_data(model: onnx.ModelProto, location: str) -> onnx.ModelProto:
    tensor = numpy_helper.from_array(np.arange(4, dtype=np.float32), "outside")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    model.graph.initializer.append(tensor)
    return model


def test_tensors_outside_the_file_are_refused(tiny: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(tiny.semantic_model(), str(path))
    refuse_external_data(path)
    path.write_bytes(_with_external_data(tiny.semantic_model(), "../../secret").SerializeToString())
    with pytest.raises(BundleError, match="keeps tensors in another file"):
        refuse_external_data(path)


def test_tensors_outside_the_file_are_found_in_nested_graphs(tiny: SimpleNamespace, tmp_path: Path) -> None:
    inner = _with_external_data(tiny.semantic_model(), "/etc/passwd").graph
    model = tiny.semantic_model()
    node = onnx.helper.make_node("If", ["c"], ["o"], then_branch=inner, else_branch=tiny.semantic_model().graph)
    model.graph.node.append(node)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match="keeps tensors in another file"):
        refuse_external_data(path)


def test_a_bundle_with_tensors_outside_is_not_opened(tiny: SimpleNamespace) -> None:
    import hashlib

    folder = tiny.bundle("argmax")
    data = _with_external_data(tiny.semantic_model(), "weights.bin").SerializeToString()
    (folder / "model.fp32.onnx").write_bytes(data)
    (folder / "weights.bin").write_bytes(bytes(16))
    content = json.loads((folder / "manifest.json").read_bytes())
    content["variants"][0]["file"] |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match="keeps tensors in another file"):
        open_bundle(folder)


@pytest.mark.parametrize("length", [0, 1, 40, 200])
def test_a_cut_off_network_is_refused(tiny: SimpleNamespace, tmp_path: Path, length: int) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(tiny.semantic_model().SerializeToString()[:length])
    if length < 40:
        with pytest.raises(BundleError, match=r"cut\.onnx: is no ONNX file"):
            refuse_external_data(path)
        return
    with pytest.raises((BundleError, BackendError), match=r"cut\.onnx: "):
        _open_network(path)


def test_random_bytes_never_crash_the_scan(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "noise.onnx"
    for _ in range(200):
        path.write_bytes(rng.integers(0, 256, int(rng.integers(1, 300)), dtype=np.uint8).tobytes())
        with suppress(BundleError):
            refuse_external_data(path)


def _check_all(folder: Path) -> None:
    bundle = read_bundle(folder)
    for file in bundle.manifest.files:
        bundle.checked(file)


def _open_network(path: Path) -> None:
    from segrt.runtime.inference.onnxruntime import OnnxRuntimeBackend

    refuse_external_data(path)
    OnnxRuntimeBackend(path, [], [])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "scores", r"has no head 'scores', only 'logits'"),
        ("dtype", "float16", r"head must be 'logits' float16 \[1, 3, 8, 12\] by the manifest, but the network has"),
        ("shape", [1, 3, 8, 13], r"head must be 'logits' float32 \[1, 3, 8, 13\] by the manifest"),
        ("shape", [1, 3, 8, 12], None),
    ],
)
def test_heads_that_do_not_match_the_manifest_are_named(
    tiny: SimpleNamespace, field: str, value: object, message: str | None
) -> None:
    folder = tiny.bundle("argmax")
    content = json.loads((folder / "manifest.json").read_bytes())
    content["heads"][0][field] = value
    content["variants"][0]["tolerance"]["heads"] = {}
    (folder / "manifest.json").write_text(json.dumps(content))
    if message is None:
        open_bundle(folder).close()
        return
    with pytest.raises(BundleError, match=message):
        open_bundle(folder)


def test_inputs_that_do_not_match_the_manifest_are_named(tiny: SimpleNamespace) -> None:
    folder = tiny.bundle("argmax")
    content = json.loads((folder / "manifest.json").read_bytes())
    content["inputs"][0]["shape"] = [1, 64, 48, 3]
    (folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=r"input must be 'image' uint8 \[1, 64, 48, 3\] by the manifest"):
        open_bundle(folder)
