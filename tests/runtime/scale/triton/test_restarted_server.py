"""A server that is killed in mid-stream and comes back: the stream counts it and goes on, as it does for a camera."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from triton_server import TritonServer

from segrt.runtime import open_bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import BackendError, BundleError
from segrt.runtime.profiling.overlapped import MemorySource
from segrt.runtime.scale.triton.repository import export_model
from segrt.runtime.scale.triton.serving_options import ServingOptions
from segrt.runtime.stream.loop import open_pipeline

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def server(tmp_path: Path, tiny: SimpleNamespace) -> TritonServer:
    repository = tmp_path / "models"
    export_model(read_bundle(tiny.bundle("argmax")), repository, ServingOptions(name="tiny", threads=1, instances=1))
    return TritonServer(repository, tmp_path)


def wait_until(condition, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_live_stream_outlasts_the_server(server: TritonServer) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    source = MemorySource([picture], 100_000, fps=50)
    with server, open_bundle(server.address("tiny", "patience=0.1&timeout=2")) as segmenter:
        pipeline = open_pipeline(segmenter, source, ["null"])
        running = threading.Thread(target=pipeline.run)
        running.start()
        recorder = pipeline.recorder
        wait_until(lambda: recorder.frames_out() > 5)
        server.kill()
        wait_until(lambda: recorder.metrics().server_outages == 1)
        time.sleep(0.5)  # longer than the patience that it would have with a file
        assert running.is_alive()
        assert recorder.seconds_stalled() == 0.0
        before = recorder.frames_out()
        server.start()
        wait_until(lambda: recorder.frames_out() > before + 5)
        pipeline.stop()
        running.join(10)
        assert not running.is_alive()
        metrics = recorder.metrics()
        assert metrics.server_outages == 1
        assert metrics.dropped > 0, "what the camera gave meanwhile was passed over"
        assert metrics.frames_in == metrics.frames_out + metrics.dropped, "nothing that was asked for was lost"


def test_a_file_has_the_patience_that_is_asked_for(server: TritonServer, caplog: pytest.LogCaptureFixture) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    with server, open_bundle(server.address("tiny", "patience=1")) as segmenter:
        assert segmenter(picture).size == (48, 64)
        server.kill()
        with pytest.raises(BackendError, match=r"cannot be reached .*for 1 s already"):
            segmenter(picture)
        server.start()
        assert segmenter(picture).size == (48, 64), "shared memory is registered anew with a server that knows none"
        assert "shared memory is refused" not in caplog.text


def test_leaving_a_stream_does_not_wait_for_the_server(server: TritonServer) -> None:
    source = MemorySource([np.zeros((48, 64, 3), np.uint8)], 100_000, fps=50)
    with server, open_bundle(server.address("tiny", "patience=3600")) as segmenter:
        results = segmenter.stream(source)  # type: ignore[arg-type]
        next(results)
        server.kill()
        results.close()  # else it would wait for its whole patience
        server.start()
        assert segmenter(np.zeros((48, 64, 3), np.uint8)).size == (48, 64)


def test_another_bundle_in_its_place_is_refused(server: TritonServer, tiny: SimpleNamespace, tmp_path: Path) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    with server, open_bundle(server.address("tiny")) as segmenter:
        segmenter(picture)
        server.kill()
        other = read_bundle(tiny.bundle("binary", out="other"))
        assert (
            export_model(other, tmp_path / "models", ServingOptions(name="tiny", threads=1, instances=1)).version == 2
        )
        server.start()
        with pytest.raises(BundleError, match="has another bundle now"):
            segmenter(picture)
