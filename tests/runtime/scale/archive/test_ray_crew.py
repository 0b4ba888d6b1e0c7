"""Archives on a real Ray cluster of two local nodes: the same parts, whatever is killed meanwhile."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from archive_cases import KilledOpening
from cli_calls import Segrt, fails

pytest.importorskip("ray", reason="the tests of clusters need ray: pip install 'segrt[ray]'")

from segrt.runtime.decode.rule_changes import RuleChanges
from segrt.runtime.inference.execution import Execution
from segrt.runtime.scale.archive import archive_command, ray_crew
from segrt.runtime.scale.archive.archive_command import Request, archived
from segrt.runtime.scale.archive.crew import Finished
from segrt.runtime.scale.archive.ray_crew import ClusterPlace, RayCrew

# Ray's own threads and sockets, which its processes take down with them.
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def nodes() -> Iterator[SimpleNamespace]:
    """A cluster of two nodes with one CPU each; its workers find what tests give them by name."""
    import ray
    from ray.cluster_utils import Cluster

    # Names of sockets have 107 bytes at most, of which pytest's own folders leave too few.
    folder = TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True)
    with folder as short, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).resolve().parent))
        patch.setenv("RAY_TMPDIR", short)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("OMP_NUM_THREADS", "1")
        small = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=small)
        second = cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
        yield SimpleNamespace(cluster=cluster, second=second, address=cluster.address)
        ray.shutdown()
        cluster.shutdown()


def parts(out: Path) -> dict[str, bytes]:
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in out.glob("*/clip-*.parquet")}


def test_a_killed_actor_and_a_killed_node_cost_nothing_and_double_nothing(
    nodes: SimpleNamespace, clip: Path, tiny: SimpleNamespace, archive: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    bundle, out, alone = str(tiny.bundle("query_instances")), tmp_path / "out", tmp_path / "alone"
    archive(bundle, clip, out=alone, seconds=0.3)
    killed: list[str] = []

    class Unlucky(RayCrew):
        """Loses its second node as soon as that has begun a clip."""

        def wait(self, seconds: float) -> list[Finished]:
            at_work = {actor.node for actor in self._actors if actor.task is not None and actor.is_up}
            if not killed and nodes.second.node_id in at_work:
                killed.append(nodes.second.node_id)
                nodes.cluster.remove_node(nodes.second, allow_graceful=False)
            return super().wait(seconds)

    def kind(_: Request) -> Callable[[Any], RayCrew]:
        def make(job: Any) -> RayCrew:
            opening = KilledOpening(job.opening, str(tmp_path))
            return Unlucky(replace(job, opening=opening), ClusterPlace(nodes.address, 2))

        return make

    monkeypatch.setattr(archive_command, "_crew_kind", kind)
    request = Request(bundle, (str(clip),), str(out), RuleChanges(), Execution(threads=1), clip_seconds=0.3)
    done = archived(request, lambda _: None, print)
    assert killed
    assert (done.totals.done, done.totals.failures) == (5, 0)
    assert done.totals.lost >= 1  # 2 unless what the node took with it was the very process that was to be killed
    assert parts(out) == parts(alone)
    assert len(parts(out)) == 10


def test_the_command_works_on_a_cluster_and_says_where_there_is_none(
    nodes: SimpleNamespace, clip: Path, tiny: SimpleNamespace, segrt: Segrt, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import ray

    begun = ("archive", tiny.bundle("argmax"), clip, "--out", tmp_path / "out")
    code, said, err = segrt(*begun, "--address", nodes.address)
    assert code == 0, err
    assert "error" not in err
    assert "40 frames" in said
    fails(segrt(*begun, "--address", nodes.address, "--gpus-per-worker", "1"), 2, "a worker needs 1 CPUs and 1 GPUs")
    ray.shutdown()
    fails(segrt(*begun, "--address", "127.0.0.1:1"), 2, "--address 127.0.0.1:1: ", "ray start --head")
    monkeypatch.setattr(ray_crew, "_CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = f"127.0.0.1:{other.getsockname()[1]}"
        fails(segrt(*begun, "--address", place), 2, f"--address {place}: no cluster answers there (what listens there")
