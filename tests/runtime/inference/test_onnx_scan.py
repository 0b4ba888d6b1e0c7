"""What ONNX Runtime would read from outside a network's file is seen by the scan, however it is written."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from segrt.runtime.errors import BackendError, BundleError
from segrt.runtime.files.protobuf import fields
from segrt.runtime.inference import onnx_scan
from segrt.runtime.inference.layers.module_names import read_nodes
from segrt.runtime.inference.onnx_scan import refuse_external_data
from segrt.runtime.inference.onnxruntime import OnnxRuntimeBackend, network_session, run_file
from segrt.runtime.inference.tensors import TensorSpec

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

BYTES, VARINT = 2, 0
EXTERNAL_DATA, DATA_LOCATION = 13, 14


def number(value: int, padding: int = 0) -> bytes:
    """Encode a varint, with `padding` bytes more than it needs."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    if padding:
        out[-1] |= 0x80
        out += b"\x80" * (padding - 1) + b"\x00"
    return bytes(out)


def field(key: bytes, content: bytes) -> bytes:
    return key + number(len(content)) + content


def network(location: str, *, high: int = 0, padding: int = 0) -> bytes:
    """Return a network whose weight lies in the file `location`; the keys that say so have bits above the 32nd."""
    tensor = onnx.TensorProto(name="w", dims=[4], data_type=onnx.TensorProto.FLOAT).SerializeToString()
    entry = onnx.StringStringEntryProto(key="location", value=location).SerializeToString()
    tensor += field(number(EXTERNAL_DATA << 3 | BYTES | high, padding), entry)
    tensor += number(DATA_LOCATION << 3 | VARINT | high, padding) + b"\x01"
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [4]) for name in "xy"]
    node = onnx.helper.make_node("Add", ["x", "w"], ["y"])
    graph = onnx.helper.make_graph([node], "g", values[:1], values[1:]).SerializeToString()
    model = onnx.ModelProto(ir_version=8, opset_import=[onnx.helper.make_opsetid("", 18)]).SerializeToString()
    return model + field(b"\x3a", graph + field(b"\x2a", tensor))


@pytest.mark.parametrize(
    "hidden",
    [
        {},
        {"high": 1 << 32},
        {"high": 1 << 34},
        {"padding": 1},
        {"padding": 3},
    ],
)
def test_weights_in_another_file_are_refused_however_their_keys_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hidden: dict[str, int]
) -> None:
    (tmp_path / "unlisted").write_bytes(np.full(4, 7, np.float32).tobytes())
    path = tmp_path / "network.onnx"
    path.write_bytes(network("unlisted", **hidden))
    # ONNX Runtime's own reader, given the path, follows them.
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.zeros(4, np.float32)})[0].tolist() == [7] * 4

    monkeypatch.chdir(tmp_path)
    for read in (
        refuse_external_data,
        read_nodes,
        lambda file: run_file(file, {"x": np.zeros(4, np.float32)}),
        lambda file: OnnxRuntimeBackend(file, [TensorSpec("x", "float32", (4,))], []),
    ):
        with pytest.raises(BundleError, match=r"network\.onnx: (is no ONNX file|keeps tensors in another file)"):
            read(path)


@pytest.mark.parametrize("location", ["unlisted", "../unlisted", "{folder}/unlisted"])
def test_onnx_runtime_follows_nothing_even_if_the_scan_missed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    for place in (tmp_path, folder):
        (place / "unlisted").write_bytes(np.full(4, 7, np.float32).tobytes())
    path = folder / "network.onnx"
    path.write_bytes(network(location.format(folder=tmp_path)))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(network_session, "scan", lambda *_: onnx_scan.OnnxTraits(has_loops=False))
    with pytest.raises(BackendError, match="ONNX Runtime cannot load the network"):
        run_file(path, {"x": np.zeros(4, np.float32)})


def test_a_file_that_is_not_onnx_but_orts_own_format_is_not_loaded(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = runtime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "network.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    runtime.InferenceSession(str(tiny.save(tiny.semantic_model())), options, providers=["CPUExecutionProvider"])
    path = tmp_path / "network.onnx"
    (tmp_path / "network.ort").rename(path)
    runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])  # by itself it takes it
    with pytest.raises(BundleError, match="is no ONNX file"):
        run_file(path, {})
    monkeypatch.setattr(network_session, "scan", lambda *_: onnx_scan.OnnxTraits(has_loops=False))
    with pytest.raises(BackendError, match="cannot load the network"):
        run_file(path, {})


def test_a_session_keeps_no_second_copy_of_the_network(tiny: SimpleNamespace) -> None:
    source = network_session.NetworkSource.read(tiny.save(tiny.semantic_model()))
    assert not source.has_loops
    assert network_session.open_cpu_session(source, 1)._model_bytes is None
    specs = [TensorSpec("image", "uint8", (1, 32, 48, 3))], [TensorSpec("logits", "float32", (1, 3, 8, 12))]
    with OnnxRuntimeBackend(source.path, *specs, threads=1) as backend:
        assert backend._source.content is None


def test_a_large_network_is_given_by_its_path(tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny.save(tiny.semantic_model())
    monkeypatch.setattr(network_session, "_MOST_BYTES", 16)
    assert network_session._scanned(path)[0] == str(path)
    path.write_bytes(network("elsewhere"))
    with pytest.raises(BundleError, match="keeps tensors in another file"):
        network_session._scanned(path)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x00\x00", "field number 0"),
        (number(1 << 32 | 8) + b"\x00", "field number 536870913"),
        (b"\x88\x00\x00", "more bytes than it needs"),
        (b"\x0a\x80\x00", "more bytes than it needs"),
        (b"\x0a" + number(1 << 31), "a length of 2147483648"),
        (b"\x0a" + b"\xff" * 9 + b"\x7f", "more than 64 bits"),
        (b"\x08" + b"\x80" * 10 + b"\x01", "more than 64 bits"),
        (b"\x0b\x08\x00\x0c", "unknown wire type 3"),
        (b"\x0c", "unknown wire type 4"),
        (b"\x0e", "unknown wire type 6"),
        (b"\x0a\x05abc", "cut off"),
        (b"\x0d\x00\x00", "cut off"),
        (b"\x08\x80", "cut off"),
    ],
)
def test_what_protobuf_does_not_allow_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        list(fields(data, 0, len(data)))


def test_the_largest_numbers_that_protobuf_allows_are_read() -> None:
    data = number((1 << 29) - 1 << 3) + number((1 << 64) - 1)
    assert list(fields(data, 0, len(data))) == [((1 << 29) - 1, 0, (1 << 64) - 1, 0)]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x38\x01", "field 7 has wire type 0"),  # a graph that is a number
        (field(b"\x3a", field(b"\x2a", b"\x72\x01\x01")), "field 14 has wire type 2"),
        (b"".join([b"\x10\x01"] * 50), "more than 40 fields"),
    ],
)
def test_what_no_writer_of_onnx_writes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, why: str
) -> None:
    monkeypatch.setattr(onnx_scan, "_MOST_FIELDS", 40)
    path = tmp_path / "network.onnx"
    path.write_bytes(data)
    for read in (refuse_external_data, read_nodes):
        with pytest.raises(BundleError, match=rf"is no ONNX file \({why}"):
            read(path)


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    data = b""
    for _ in range(100):  # graph → node → attribute → graph …
        data = field(b"\x0a", field(b"\x2a", field(b"\x32", data)))
    path = tmp_path / "network.onnx"
    path.write_bytes(field(b"\x3a", data))
    with pytest.raises(BundleError, match="nested too deeply"):
        refuse_external_data(path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_network_that_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "network.onnx"
    make(path)
    for read in (refuse_external_data, read_nodes):
        with pytest.raises(BundleError, match=r"is no ONNX file \((is a pipe|Is a directory)"):
            read(path)


def endless_loop() -> "onnx.ModelProto":
    """Return a network that counts to a number that it never reaches."""
    helper, proto = onnx.helper, onnx.TensorProto
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["state", "state"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("turn", proto.INT64, []),
            helper.make_tensor_value_info("go", proto.BOOL, []),
            helper.make_tensor_value_info("state", proto.FLOAT, [4]),
        ],
        [helper.make_tensor_value_info("on", proto.BOOL, []), helper.make_tensor_value_info("next", proto.FLOAT, [4])],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["turns", "go", "x"], ["y"], body=body)],
        "g",
        [helper.make_tensor_value_info("x", proto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", proto.FLOAT, [4])],
        [
            onnx.numpy_helper.from_array(np.array(1 << 62, np.int64), "turns"),
            onnx.numpy_helper.from_array(np.array(True), "go"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def test_a_network_whose_loop_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_session, "_LONGEST_LOOP", 0.3)
    path = tmp_path / "endless.onnx"
    path.write_bytes(endless_loop().SerializeToString())
    inputs = {"x": np.ones(4, np.float32)}
    assert refuse_external_data(path).has_loops
    with pytest.raises(BackendError, match=r"endless\.onnx: .*it has loops and ran for more than"):
        run_file(path, inputs)
    specs = [TensorSpec("x", "float32", (4,))], [TensorSpec("y", "float32", (4,))]
    with OnnxRuntimeBackend(path, *specs, threads=1) as backend:
        with pytest.raises(BackendError, match="it has loops and ran for more than"):
            backend.run(inputs)
        with pytest.raises(BackendError, match="it has loops and ran for more than"):
            backend.layer_times(inputs, 1)
