"""Weights from files and from the net, and what is said when they do not fit."""

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from segrt.export.family import Checkpoint, Model, Request, Weights  # noqa: E402  # noqa: E402
from segrt.export.weights import checkpoint_labels, checkpoints, network_weights  # noqa: E402
from segrt.runtime.errors import SegrtError  # noqa: E402

REPOSITORY = "owner/network"


def network() -> Any:
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 2, 1))


def request_of(path: Path | None = None, kind: str = "file", labels: str = "coco-panoptic") -> Request:
    checkpoint = Checkpoint(REPOSITORY, "Apache-2.0")
    model = Model("net", "panoptic", "net", (64, 64), labels, checkpoint=checkpoint)
    return Request(model, (64, 64), Weights(kind, path))  # type: ignore[arg-type]


WRAPPERS = {
    "bare": lambda state: state,
    "module": lambda state: {f"module.{name}": value for name, value in state.items()},
    "model": lambda state: {"model": state, "epoch": 3, "optimizer": {"lr": 0.1}},
    "lightning": lambda state: {"state_dict": {f"model.{name}": value for name, value in state.items()}},
    "nested": lambda state: {"state_dict": {"model": {f"module.net.{name}": value for name, value in state.items()}}},
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_of_training_frameworks_are_undone(wrapper: str, tmp_path: Path) -> None:
    trained = network()
    torch.save(WRAPPERS[wrapper](trained.state_dict()), tmp_path / "w.pth")
    fresh = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 2, 1))
    network_weights.load(fresh, network_weights.tensors(request_of(tmp_path / "w.pth")), "w.pth")
    for name, value in trained.state_dict().items():
        torch.testing.assert_close(fresh.state_dict()[name], value, rtol=0, atol=0)


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file(network().state_dict(), tmp_path / "w.safetensors")
    assert set(network_weights.read_tensors(tmp_path / "w.safetensors")) == set(network().state_dict())


def test_what_does_not_fit_is_listed_and_long_lists_are_cut() -> None:
    state = network().state_dict()
    state["2.weight"] = torch.zeros(5, 4, 1, 1)
    for index in range(6):
        state[f"extra.{index}"] = torch.zeros(1)
    del state["0.bias"]
    with pytest.raises(SegrtError) as refused:
        network_weights.load(network(), state, "w.pth")
    assert str(refused.value) == (
        "w.pth: the weights do not fit: 1 missing (0.bias); "
        "6 unexpected (extra.0, extra.1, extra.2, extra.3, … 2 more); "
        "1 of another shape (2.weight [5, 4, 1, 1] instead of [2, 4, 1, 1]); give weights of this very network"
    )


def test_another_number_of_classes_asks_for_labels() -> None:
    state = network().state_dict() | {"2.weight": torch.zeros(5, 4, 1, 1), "2.bias": torch.zeros(5)}
    with pytest.raises(SegrtError, match="and its own classes with --labels"):
        network_weights.load(network(), state, "w.pth")


def test_optional_and_renamed_tensors_may_differ() -> None:
    state = {f"old.{name}": value for name, value in network().state_dict().items() if not name.startswith("1.")}
    state["old.aux.weight"] = torch.zeros(1)
    fresh = network()
    torch.nn.init.zeros_(fresh[0].weight)
    network_weights.load(
        fresh, state, "w.pth", rename=lambda name: name.removeprefix("old."), optional=("1.*", "aux.*")
    )
    assert fresh[0].weight.abs().sum() > 0


class Harmful:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("harm"),))


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": torch.zeros(1), "harm": Harmful()}, "w.pth")
    with pytest.raises(
        SegrtError, match=r"w\.pth: names getattr, code that .*, so it was not read; .*\.state_dict\(\)"
    ):
        network_weights.read_tensors(Path("w.pth"))
    torch.save(network(), "w.pth")  # a whole network is code, too
    with pytest.raises(SegrtError, match=r"w\.pth: names torch\.nn\.modules\.container\.Sequential, code") as refused:
        network_weights.read_tensors(Path("w.pth"))
    assert "\n" not in str(refused.value)
    torch.save({"weight": torch.zeros(1), "harm": Harmful()}, "old.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(SegrtError, match=r"old\.pth: names getattr"):
        network_weights.read_tensors(Path("old.pth"))
    assert not Path("harm").exists()


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_compiled_program_is_refused(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(network().eval(), torch.zeros(1, 3, 4, 4)), str(tmp_path / "w.pt"))
    with pytest.raises(SegrtError, match=r"w\.pt: is a TorchScript program, .*; give the network's state dict"):
        network_weights.read_tensors(tmp_path / "w.pt")


def test_tensors_are_mapped_and_put_into_the_network_themselves(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    trained = network()
    torch.save(trained.state_dict() | {"0.weight": trained[0].weight.detach().double()}, path)
    given = network_weights.read_tensors(path)
    fresh = network()
    network_weights.load(fresh, given, "w.pth")
    assert fresh[2].weight.data_ptr() == given["2.weight"].data_ptr(), "no copy"
    assert any(str(path) in line for line in Path("/proc/self/maps").read_text().splitlines()), "mapped"
    assert fresh[0].weight.dtype == torch.float32, "another dtype is converted"
    assert isinstance(fresh[2].weight, torch.nn.Parameter)


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    for name in ("text.pth", "empty.pth", "missing.pth"):
        with pytest.raises(SegrtError, match=name):
            network_weights.tensors(request_of(tmp_path / name))


@pytest.mark.parametrize("name", ["text.txt", "text.pth", "text.pkl"])
def test_text_is_said_to_be_no_state_dict(tmp_path: Path, name: str) -> None:
    for text in ("hello\n", "no weights", "{}", ""):
        (tmp_path / name).write_text(text)
        with pytest.raises(SegrtError, match=rf"{name}: is no state dict, but a file of another kind; give a state di"):
            network_weights.tensors(request_of(tmp_path / name))


def test_a_cut_off_or_unreadable_file_is_not_called_another_kind(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(9)}, tmp_path / "cut.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "cut.pth").read_bytes()[:200])
    for path in (tmp_path / "cut.pth", tmp_path):
        with pytest.raises(SegrtError, match="cannot be read as weights"):
            network_weights.read_tensors(path)


def test_transformers_networks_take_weights_and_say_what_does_not_fit(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = {"hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1], "decoder_hidden_size": 8, "num_labels": 3}
    kind = transformers.SegformerForSemanticSegmentation
    made = network_weights.load_transformers(kind, transformers.SegformerConfig(**config), request_of(kind="random"))
    again = network_weights.load_transformers(kind, transformers.SegformerConfig(**config), request_of(kind="random"))
    state = made.state_dict()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in state.items())
    torch.save({f"module.{name}": value * 2 for name, value in state.items()}, tmp_path / "w.pth")
    loaded = network_weights.load_transformers(
        kind, transformers.SegformerConfig(**config), request_of(tmp_path / "w.pth")
    )
    assert torch.equal(loaded.state_dict()["decode_head.classifier.weight"], state["decode_head.classifier.weight"] * 2)
    del state["decode_head.classifier.bias"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(SegrtError, match=r"1 missing \(decode_head.classifier.bias\)"):
        network_weights.load_transformers(kind, transformers.SegformerConfig(**config), request_of(tmp_path / "w.pth"))


# Labels.


def test_labels_come_from_the_checkpoints_configuration_and_keep_cocos_gaps(tmp_path: Path) -> None:
    names = {"0": "N/A", "1": "person", "2": "bicycle", "3": "LABEL_3", "4": "door stuff", "5": "robot"}
    (tmp_path / "config.json").write_text(f'{{"id2label": {str(names).replace(chr(39), chr(34))}}}')
    (tmp_path / "w.pth").touch()
    labels = checkpoint_labels.labels(request_of(tmp_path / "w.pth"))
    assert [(label.name, label.dataset_id, label.isthing) for label in labels] == [
        ("unused 0", 0, False),
        ("person", 1, True),
        ("bicycle", 2, True),
        ("LABEL_3", 3, False),
        ("door stuff", 112, False),
        ("robot", 5, False),
    ]


def test_without_a_configuration_the_models_own_list_counts(tmp_path: Path) -> None:
    (tmp_path / "w.pth").touch()
    labels = checkpoint_labels.labels(request_of(tmp_path / "w.pth"))
    assert len(labels) == 133
    assert labels[11].dataset_id == 13  # COCO's numbers have gaps


# The net.


@pytest.fixture
def server() -> Iterator[tuple[str, bytes, list[str]]]:
    """Serves one state dict, with ranges; (address of a folder, the file's bytes, the ranges that were asked for)."""
    file = io.BytesIO()
    torch.save(network().state_dict(), file)
    data, asked = file.getvalue(), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Range"])
            first = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            body = data[first:]
            self.send_response(206)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}", data, asked
    running.shutdown()
    running.server_close()


def test_an_interrupted_download_goes_on_and_is_kept(
    server: tuple[str, bytes, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, data, asked = server
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ".net.pth.partial").write_bytes(data[:100])
    path = checkpoints.fetch(f"{address}/net.pth")
    assert path.read_bytes() == data
    assert checkpoints.fetch(f"{address}/net.pth") == path
    assert asked == ["bytes=100-"]
    assert sorted(file.name for file in path.parent.iterdir()) == ["net.pth"]


def test_a_damaged_download_is_not_kept(
    server: tuple[str, bytes, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(SegrtError, match=r"arrived damaged .* does not begin with 0123456789"):
        checkpoints.fetch(f"{server[0]}/net-0123456789.pth")
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_without_the_net_the_error_says_which_file_to_put_where(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr(checkpoints, "_is_reachable", lambda host: False)  # noqa: ARG005
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    place = own_cache / "weights" / "owner--network"
    with pytest.raises(SegrtError) as refused:
        checkpoints.fetch(REPOSITORY)
    assert str(refused.value) == (
        f"{REPOSITORY}: cannot be reached; fetch config.json and model.safetensors from "
        f"https://huggingface.co/{REPOSITORY} elsewhere and put them into {place}, "
        "or give the weights with --weights FILE"
    )
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(b"by hand")
    assert checkpoints.fetch(REPOSITORY) == place / "model.safetensors"
    with pytest.raises(SegrtError, match=rf"cannot be fetched .* put it at {own_cache}/weights/net.pth"):
        checkpoints.fetch("http://127.0.0.1:9/net.pth")
