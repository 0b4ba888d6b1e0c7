"""Models on a real server: the results of the bundle itself, refusals in one line, batches, shared memory."""

import json
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_calls import fails
from triton_server import TritonServer, free_port

from segrt.runtime import open_bundle
from segrt.runtime.errors import BackendError, BundleError, ImageError
from segrt.runtime.files.images import write_image
from segrt.runtime.results import InstanceResult, PanopticResult, Result, SemanticResult
from segrt.runtime.stream import stream
from segrt.runtime.streetworld import StreetWorld

pytestmark = pytest.mark.timeout(120)
Segrt = Callable[..., tuple[int, str, str]]
SIZES = ((192, 320), (301, 203), (360, 640))


def same(one: Result, other: Result) -> bool:
    """Whether two results say the same of a picture, bit for bit."""
    assert type(one) is type(other)
    if isinstance(one, SemanticResult) and isinstance(other, SemanticResult):
        alike = bool((one.class_map == other.class_map).all()) and one.class_map.dtype == other.class_map.dtype
    elif isinstance(one, PanopticResult) and isinstance(other, PanopticResult):
        alike = bool((one.segment_ids == other.segment_ids).all()) and one.segments == other.segments
        alike = alike and one.segment_ids.dtype == other.segment_ids.dtype
    else:
        assert isinstance(one, InstanceResult)
        assert isinstance(other, InstanceResult)
        pairs = ((one.boxes, other.boxes), (one.scores, other.scores), (one.class_ids, other.class_ids))
        alike = one.rles == other.rles and all(a.tobytes() == b.tobytes() and a.dtype == b.dtype for a, b in pairs)
    return alike and one.size == other.size and one.nonfinite_heads == other.nonfinite_heads


@pytest.mark.parametrize("name", ["street-semantic", "street-instance", "street-panoptic"])
def test_results_are_those_of_the_bundle_itself(server: TritonServer, name: str) -> None:
    world = StreetWorld(700_000)
    pictures = [world.render(float(second), size).image for second, size in enumerate(SIZES)]
    pictures.append(np.zeros((64, 96, 3), np.uint8))  # of which an instance network finds nothing
    ways = ("", "shared_memory=0", "encoding=png")
    with open_bundle(name, threads=1) as own:
        wanted = [own(picture) for picture in pictures]
        for way in ways:
            with open_bundle(server.address(name, way)) as served:
                assert type(served) is type(own)
                assert served.labels == own.labels
                for picture, result in zip(pictures, wanted, strict=True):
                    answered = served(picture)
                    assert same(answered, result)
                    assert answered.image is picture
                    assert answered.timings is not None


@pytest.mark.parametrize("clip", ["car-detection.mp4", "one-by-one-person-detection.mp4"])
def test_a_real_clip_gives_the_same_results(server: TritonServer, fixtures: Path, clip: str) -> None:
    path = fixtures / "video" / clip
    with open_bundle("street-panoptic", threads=1) as own, open_bundle(server.address("street-panoptic")) as served:
        both = (stream(segmenter, path, max_frames=8) for segmenter in (own, served))
        for (frame, wanted), (other, answered) in zip(*both, strict=True):
            assert (frame.index, frame.pts) == (other.index, other.pts)
            assert same(answered, wanted)


def test_thresholds_go_along(server: TritonServer) -> None:
    picture = StreetWorld(700_001).render(0.0, (192, 320)).image
    counts = []
    for threshold in (0.0, 0.9, None):
        with (
            open_bundle("street-instance", threads=1, score_threshold=threshold) as own,
            open_bundle(server.address("street-instance"), score_threshold=threshold) as served,
        ):
            result = served(picture)
            assert same(result, own(picture))
            counts.append(len(result))
    assert counts[0] > counts[2] >= counts[1]
    with pytest.raises(BundleError, match="has no overlap_threshold"):
        open_bundle(server.address("street-instance"), overlap_threshold=0.5)


def test_commands_run_against_a_server(server: TritonServer, tmp_path: Path, segrt: Segrt) -> None:
    picture = StreetWorld(700_002).render(0.0, (192, 320)).image
    write_image(tmp_path / "a.png", picture)
    address = server.address("street-panoptic")
    code, out, err = segrt("run", address, tmp_path / "a.png", "--out", tmp_path / "out", "--save", "panoptic")
    assert code == 0, err
    assert "road" in out
    outputs = ("--sink", tmp_path / "lines.jsonl", "--metrics", tmp_path / "metrics.json")
    code, _, err = segrt("stream", address, tmp_path / "a.png", "street://?seed=3", "--max-frames", 6, *outputs)
    assert code == 0, err
    assert len((tmp_path / "lines.jsonl").read_text().splitlines()) == 6
    assert '"backend": "triton"' in (tmp_path / "metrics.json").read_text()
    clip = "street://?seed=3&frames=6&width=320&height=192"
    figures = []
    for bundle in (address, "street-panoptic"):
        code, _, err = segrt("eval", bundle, "--annotations", clip, "--json", tmp_path / "eval.json")
        assert code == 0, err
        figures.append(json.loads((tmp_path / "eval.json").read_text())["metrics"])
    assert figures[0] == figures[1]
    few = ("--frames", 10, "--warmup", 1, "--no-cold", "--json", tmp_path / "p.json")
    code, _, err = segrt("profile", address, "--source", tmp_path / "a.png", *few)
    assert code == 0, err
    assert '"backend": "triton"' in (tmp_path / "p.json").read_text()


def test_eight_clients_at_once_share_batches(server: TritonServer, tiny_once: Any, batched: Path) -> None:
    import tritonclient.grpc as grpc

    pictures = [tiny_once.thirds(60 + number, 90) for number in range(8)]  # of different sizes, yet in one batch
    with open_bundle(batched, threads=1) as own:
        wanted = [own(picture) for picture in pictures]
    wrong: list[int] = []

    def work(number: int) -> None:
        with open_bundle(server.address("batched")) as served:
            ready.wait(30)
            wrong.extend(number for _ in range(8) if not same(served(pictures[number]), wanted[number]))

    ready = threading.Barrier(8)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    with grpc.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        (figures,) = client.get_inference_statistics("batched").model_stats
    batches = {entry.batch_size: entry.compute_infer.count for entry in figures.batch_stats}
    assert max(batches) >= 4, batches
    assert figures.execution_count < figures.inference_count


def test_a_slot_of_several_pictures_asks_for_all_at_once(server: TritonServer, tiny_once: Any) -> None:
    pictures = [tiny_once.thirds(30, 60), tiny_once.thirds(40, 50), tiny_once.thirds(24, 48)]
    with open_bundle(server.address("batched"), batch=3) as served:
        assert [result.size for result in served(pictures)] == [(30, 60), (40, 50), (24, 48)]
        assert served.backend.slots == 2


def test_a_bad_picture_fails_alone(server: TritonServer, tiny_once: Any) -> None:
    import tritonclient.grpc as grpc

    good = write_png(tiny_once.thirds(24, 48))
    outcomes: dict[int, Any] = {}

    def ask(number: int, data: bytes) -> None:
        array = np.frombuffer(data, np.uint8)[None]
        given = grpc.InferInput("encoded", list(array.shape), "UINT8")
        given.set_data_from_numpy(array)
        ready.wait(30)
        try:
            outcomes[number] = client.infer("batched", [given]).as_numpy("class_map").shape
        except Exception as error:
            outcomes[number] = str(error)

    ready = threading.Barrier(4)
    with grpc.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        given = [good, b"no picture at all", good, good[:60]]
        threads = [threading.Thread(target=ask, args=item) for item in enumerate(given)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert outcomes[0] == outcomes[2] == (1, 24, 48)
    assert "INVALID_ARGUMENT" in outcomes[1]
    assert "INVALID_ARGUMENT" in outcomes[3]
    assert outcomes[1].count("\n") == 0
    with open_bundle(server.address("batched")) as served, pytest.raises(ImageError):
        served(b"no picture at all")


def write_png(picture: Any) -> bytes:
    """Return a picture's file."""
    from segrt.runtime.files.images import encode_image

    return encode_image(picture, ".png")


def test_shared_memory_is_used_and_given_back(server: TritonServer) -> None:
    import tritonclient.grpc as grpc

    picture = StreetWorld(700_000).render(0.0, (192, 320)).image
    with grpc.InferenceServerClient(f"127.0.0.1:{server.port}") as client:

        def registered() -> list[str]:
            return [name for name in client.get_system_shared_memory_status().regions if name.startswith("segrt-")]

        with open_bundle(server.address("street-semantic")) as served:
            served(picture)
            first = registered()
            served(picture.repeat(2, axis=0))  # which needs more of it
            assert len(first) == len(registered()) == 1
            assert registered() != first
        assert registered() == []
    assert list(Path("/dev/shm").glob(f"segrt-{os.getpid()}-*")) == []


def test_a_stream_that_is_left_early_leaves_no_region_behind(
    server: TritonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tritonclient.grpc as grpc

    from segrt.runtime.remote import shared_pictures

    monkeypatch.setattr(shared_pictures, "_FORGETTING_SECONDS", 60.0)
    with grpc.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        for _ in range(8):  # pictures are still on their way then, whose memory the server does not let go of
            with open_bundle(server.address("street-panoptic", "in_flight=4")) as served:
                for number, _ in enumerate(stream(served, "street://?seed=3", max_frames=20)):
                    if number == 3:
                        break
            assert list(client.get_system_shared_memory_status().regions) == []


def test_refused_shared_memory_is_said_in_one_line_and_done_without(
    server: TritonServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from segrt.runtime.remote.served_connection import Server

    register = Server.register
    monkeypatch.setattr(Server, "register", lambda self, name, _key, size: register(self, name, "/not-there", size))
    picture = StreetWorld(700_000).render(0.0, (192, 320)).image
    with caplog.at_level(logging.WARNING), open_bundle(server.address("street-semantic")) as served:
        assert served(picture).size == served(picture).size == (192, 320)
    assert [record.getMessage() for record in caplog.records if "shared memory is refused" in record.getMessage()][
        1:
    ] == []
    assert "shared memory is refused" in caplog.text
    assert list(Path("/dev/shm").glob(f"segrt-{os.getpid()}-*")) == []


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        ("street-panoptik", ("there is no model 'street-panoptik'", "did you mean 'street-panoptic'?")),
        ("street-panoptic?version=7", ("version 7", "is not served, only 1")),
        ("foreign", ("is no model of segrt", "segrt export-triton")),
        ("older", ("is a model of segrt 0.0.9", "install the same version")),
        ("street-panoptic?versoin=7", ("there is no option 'versoin'",)),
        ("", ("names no model", "triton://HOST:8001/NAME")),
    ],
)
def test_what_cannot_be_opened_is_refused_in_one_line(
    server: TritonServer, tmp_path: Path, segrt: Segrt, model: str, parts: tuple[str, ...]
) -> None:
    write_image(tmp_path / "a.png", np.zeros((24, 48, 3), np.uint8))
    fails(segrt("run", server.address(model), tmp_path / "a.png", "--out", tmp_path / "o"), 2, *parts)


def test_no_server_and_another_kind_of_server_are_refused_in_one_line(tmp_path: Path, segrt: Segrt) -> None:
    write_image(tmp_path / "a.png", np.zeros((24, 48, 3), np.uint8))
    address = f"triton://127.0.0.1:{free_port()}/street-panoptic"
    fails(segrt("run", address, tmp_path / "a.png"), 2, "cannot be reached over gRPC", "8001")
    import http.server

    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Quiet) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        try:
            fails(segrt("run", f"triton://127.0.0.1:{web.server_port}/x?timeout=2", tmp_path / "a.png"), 2, "over gRPC")
        finally:
            web.shutdown()
            thread.join()


def test_what_only_files_have_is_refused(server: TritonServer, tmp_path: Path, segrt: Segrt) -> None:
    address = server.address("street-panoptic")
    write_image(tmp_path / "a.png", np.zeros((24, 48, 3), np.uint8))
    for command in ("verify", "inspect"):
        fails(segrt(command, address), 2, "is an address", "give its folder")
    picture = (tmp_path / "a.png", "--out", tmp_path / "o")
    code, _, err = segrt("run", address, *picture, "--save", "queries")
    assert code == 2
    assert "a served model gives results, not the heads" in err.splitlines()[-1]
    fails(segrt("run", address, *picture, "--precision", "fp16"), 2, "serves fp32 alone")
    fails(segrt("run", address, *picture, "--backend", "onnxruntime"), 2, "backend is the server's choice")
    fails(segrt("run", address, *picture, "--decode", "cuda"), 2, "decode is the server's choice")


def test_a_full_queue_is_said_when_patience_is_over(server: TritonServer) -> None:
    picture = np.zeros((800, 1200, 3), np.uint8)
    errors: list[str] = []

    def work(query: str) -> None:
        try:
            with open_bundle(server.address("narrow", query)) as served:
                for _ in range(8):
                    if errors:
                        return
                    served(picture)
        except BackendError as error:
            errors.append(str(error))

    def together(query: str) -> None:
        threads = [threading.Thread(target=work, args=(query,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    together("patience=60")
    assert errors == [], "with patience everybody's turn comes"
    together("patience=0")
    assert errors
    assert "queue of 1 is full" in errors[0]
