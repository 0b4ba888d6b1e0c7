"""What a Triton server adds to a picture's latency, and what it does with several clients.

    python benchmarks/served.py [--pictures N] [--size HxW] [--threads N]

Starts the server that `make` has put into `.venv/triton`, with the embedded panoptic model on the CPU, on this machine:

- latency: one client, one picture after another, in turns with the bundle itself in this process: by shared memory, and
  by the connection
- throughput: 1, 2, 4 and 8 clients at once, each with a connection of its own; beside them the bundle itself with as
  many threads of callers
- recovery: from the killed server's restart to the first answer to a client that waits
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from triton_server import TritonServer

from segrt.runtime import Segmenter, open_bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.scale.triton.repository import export_model
from segrt.runtime.scale.triton.serving_options import ServingOptions
from segrt.runtime.streetworld import StreetWorld

NAME = "street-panoptic"
CLIENTS = (1, 2, 4, 8)


def latencies(segmenters: dict[str, Segmenter], picture: np.ndarray, turns: int) -> dict[str, list[float]]:
    """Return milliseconds of each picture, the segmenters taking turns, for a machine's speed changes."""
    times: dict[str, list[float]] = {name: [] for name in segmenters}
    for turn in range(-3, turns):
        for name, segmenter in segmenters.items():
            begin = time.perf_counter()
            segmenter(picture)
            if turn >= 0:
                times[name].append((time.perf_counter() - begin) * 1e3)
    return times


def throughput(callers: list[Callable[[np.ndarray], object]], picture: np.ndarray, pictures: int) -> float:
    """Return pictures a second of several callers at once, each with its share of the pictures."""
    share = max(1, pictures // len(callers))
    ready = threading.Barrier(len(callers) + 1)

    def work(call: Callable[[np.ndarray], object]) -> None:
        call(picture)
        ready.wait()
        for _ in range(share):
            call(picture)

    threads = [threading.Thread(target=work, args=(call,)) for call in callers]
    for thread in threads:
        thread.start()
    ready.wait()
    begin = time.perf_counter()
    for thread in threads:
        thread.join()
    return share * len(callers) / (time.perf_counter() - begin)


def recovery(server: TritonServer, picture: np.ndarray) -> tuple[float, float]:
    """Kill the server under a waiting client; return the seconds of its start, and from there to the answer."""
    with open_bundle(server.address(NAME, "patience=120")) as segmenter:
        segmenter(picture)
        server.kill()
        answered: list[float] = []
        client = threading.Thread(target=lambda: (segmenter(picture), answered.append(time.perf_counter())))
        client.start()
        begin = time.perf_counter()
        server.start()
        started = time.perf_counter()
        client.join()
    return started - begin, max(0.0, answered[0] - started)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--size", default="1080x1920", help="height and width of the pictures")
    parser.add_argument("--threads", type=int, default=1, help="of the network, here and in the server")
    arguments = parser.parse_args()
    height, width = (int(side) for side in arguments.size.split("x"))
    picture = StreetWorld(700_000).render(0.0, (height, width)).image
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        export_model(read_bundle(NAME), work / "models", ServingOptions(threads=arguments.threads))
        with TritonServer(work / "models", work) as server:
            with (
                open_bundle(NAME, threads=arguments.threads) as own,
                open_bundle(server.address(NAME)) as shared,
                open_bundle(server.address(NAME, "shared_memory=0")) as sent,
            ):
                ways = {"this process": own, "shared memory": shared, "connection": sent}
                times = latencies(ways, picture, arguments.pictures)
                base = median(times["this process"])
                print(f"{NAME}, {height}x{width}, {arguments.threads} thread(s), {arguments.pictures} pictures")
                for name, values in times.items():
                    p95 = float(np.percentile(values, 95))
                    print(
                        f"latency, {name}: {median(values):.2f} ms (p95 {p95:.2f}), added {median(values) - base:+.2f}"
                    )
                for clients in CLIENTS:
                    opened = [open_bundle(server.address(NAME)) for _ in range(clients)]
                    remote = throughput(list(opened), picture, arguments.pictures)
                    for segmenter in opened:
                        segmenter.close()
                    local = throughput([own] * clients, picture, arguments.pictures)
                    print(
                        f"{clients} client(s): {remote:.1f} pictures/s through the server, {local:.1f} in this process"
                    )
            start, answer = recovery(server, picture)
            print(
                f"recovery: the server starts in {start:.2f} s, the waiting client has its answer {answer:.2f} s later"
            )


if __name__ == "__main__":
    main()
