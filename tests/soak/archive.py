"""An archive on a cluster that loses something every few seconds: `python tests/soak/archive.py [--minutes N]`.

Streets are archived again and again on a Ray cluster of two local nodes, one CPU each; every eight seconds a worker's
process is killed, or a node with all that is on it, which comes up again; the command itself is interrupted once a
round and run again. At the end of each round every clip must be there once, byte for byte as one process makes it,
broken files must be listed as failures, and nothing unfinished may lie about. With `--moto PATH`, of a `moto_server`
(PyPI: moto[server]), sources and dataset are then put behind s3:// and compared, too.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "runtime" / "scale" / "archive"))

from archive_cases import encoded

from segrt.runtime.decode.rule_changes import RuleChanges
from segrt.runtime.inference.execution import Execution
from segrt.runtime.scale.archive import archive_command
from segrt.runtime.scale.archive.archive_command import Archived, Request, archived
from segrt.runtime.scale.archive.crew import Finished
from segrt.runtime.scale.archive.ray_crew import ClusterPlace, RayCrew

BUNDLE = "street-semantic"
KILL_SECONDS = 8.0


class Cluster:
    """Two local nodes, of which the second can be killed and brought up again."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster as RayCluster

        self.small: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 << 20}
        self.cluster = RayCluster(initialize_head=True, head_node_args={**self.small, "include_dashboard": False})
        self.second = self.cluster.add_node(**self.small)
        self.address = self.cluster.address
        self.killed = {"process": 0, "node": 0}

    def kill_node(self) -> None:
        """Kill the second node, and start another."""
        self.cluster.remove_node(self.second, allow_graceful=False)
        self.second = self.cluster.add_node(**self.small)
        self.killed["node"] += 1

    def kill_process(self) -> None:
        """Kill a worker's process, whichever is found."""
        workers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _is_actor(entry)]
        if workers:
            with suppress(ProcessLookupError):
                os.kill(random.choice(workers), signal.SIGKILL)
            self.killed["process"] += 1

    def close(self) -> None:
        """End all of it."""
        import ray

        ray.shutdown()
        self.cluster.shutdown()


def _is_actor(entry: Path) -> bool:
    """Say whether a process is an actor of a cluster that this process has begun."""
    try:
        name = (entry / "cmdline").read_bytes()
        environment = (entry / "environ").read_bytes()
    except OSError:
        return False
    return name.startswith(b"ray::ActorWorker") and f"SEGRT_SOAK={os.getpid()}".encode() in environment


def round_of(cluster: Cluster, sources: Path, out: Path, place: random.Random) -> Archived:
    """Archive once, losing things on the way; interrupted once, and run again."""
    interrupt_at = place.randint(3, 12)

    class Unlucky(RayCrew):
        """Loses a process or a node now and then."""

        due = time.monotonic() + 1.0
        done = 0

        def wait(self, seconds: float) -> list[Finished]:
            """Kill what is due."""
            if time.monotonic() > self.due:
                (cluster.kill_node if place.random() < 0.3 else cluster.kill_process)()
                self.due = time.monotonic() + KILL_SECONDS
            finished = super().wait(seconds)
            self.done += len(finished)
            if not interrupted and self.done >= interrupt_at:
                interrupted.append(True)
                raise KeyboardInterrupt
            return finished

    interrupted: list[bool] = []
    archive_command._crew_kind = lambda _: lambda job: Unlucky(job, ClusterPlace(cluster.address, 2))
    request = Request(BUNDLE, (str(sources),), str(out), RuleChanges(), Execution(threads=1), clip_seconds=1.5)
    first = archived(request, lambda _: None, print)
    assert first.interrupted is not None
    return archived(request, lambda _: None, print)


def parts(out: Path) -> dict[str, bytes]:
    """Return the parts of clips, name → bytes."""
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in out.glob("*/clip-*.parquet")}


def behind_s3(moto: str, folder: Path, sources: Path, wanted: int) -> None:
    """Archive from a bucket into another, and count."""
    from pyarrow import fs

    port = 5600 + os.getpid() % 300
    server = subprocess.Popen([moto, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    options = f"scheme=http&endpoint_override=127.0.0.1:{port}&allow_bucket_creation=true"
    try:
        time.sleep(4)
        s3 = fs.S3FileSystem(
            access_key="a", secret_key="hush", scheme="http", endpoint_override=f"127.0.0.1:{port}",
            allow_bucket_creation=True,
        )  # fmt: skip
        s3.create_dir("cams")
        fs.copy_files(str(sources), "cams/day", destination_filesystem=s3)
        root = f"s3://a:hush@cams/day?{options}"
        for expected in (wanted, 0):
            done = _segrt(folder, root, "--out", f"s3://a:hush@cams/out?{options}", "--workers", "2")
            assert f"s3://cams/out: {expected} frames" in done, done
            assert "hush" not in done
    finally:
        server.kill()


def _segrt(folder: Path, *arguments: str) -> str:
    code = "from segrt.runtime.cli import main; main()"
    command = [sys.executable, "-c", code, "archive", BUNDLE, *arguments, "--clip-seconds", "1500ms"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def main() -> None:
    """Go on for the minutes that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--moto")
    options = parser.parse_args()
    os.environ |= {"SEGRT_SOAK": str(os.getpid()), "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    end, place, rounds, lost = time.monotonic() + options.minutes * 60, random.Random(0), 0, 0
    usual = archive_command._crew_kind
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        sources = folder / "cams"
        sources.mkdir()
        for number in range(4):
            encoded(sources / f"cam{number}.mp4", frames=120, rate=10)
        (sources / "broken.mp4").write_bytes(b"\0" * 4000)
        request = Request(BUNDLE, (str(sources),), str(folder / "alone"), RuleChanges(), Execution(threads=1), 1.5)
        alone = archived(request, lambda _: None, print).totals
        wanted = parts(folder / "alone")
        cluster = Cluster()
        try:
            while time.monotonic() < end:
                out = folder / f"round-{rounds}"
                done = round_of(cluster, sources, out, place)
                rounds, lost = rounds + 1, lost + done.totals.lost
                assert done.totals.failures == 1, done
                assert parts(out) == wanted
                assert not list(out.rglob("*.partial"))
                print(f"round {rounds}: {done.totals.seconds:.0f} s, {done.totals.lost} workers lost", flush=True)
        finally:
            cluster.close()
        print(f"{rounds} rounds, killed {cluster.killed}, {lost} tasks were lost and done again: all clips there once")
        if options.moto:
            archive_command._crew_kind = usual
            behind_s3(options.moto, folder, sources, alone.frames)
            print("s3: the same")


if __name__ == "__main__":
    main()
