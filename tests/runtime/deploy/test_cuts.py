"""Cut anywhere, a device has one whole, working release: connections that end, power that fails, files that change."""

import contextlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.deploy import host
from segrt.runtime.deploy.plan import Options, make_plan
from segrt.runtime.deploy.ssh import Device

KILLS, DEVICES = 50, 5
STREAM = ("--stream", "street://?seed=1 --sink null")


def whole(camera) -> str:
    """Return the name of the bundle that `current` points to, after checking every byte of the release."""
    release = (camera.service / "current").resolve()
    bundle = read_bundle(release / "bundle")
    for file in bundle.manifest.files:
        bundle.checked(file, full=True)
    assert (release / "run").stat().st_mode & 0o111
    assert (release / "env/bin/segrt").is_file()
    assert json.loads((release / "release.json").read_text())["bundle"] == bundle.manifest.name
    return bundle.manifest.name


def cut_connections(fleet) -> None:
    """End every connection of the server, as a cable that is pulled."""
    parents = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            if name.startswith("sshd"):
                parents[int(entry.name)] = int(rest.split()[1])
    for pid in parents:
        above = pid
        while above in parents and above != fleet.process.pid:
            above = parents[above]
        if above == fleet.process.pid != pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def once(ready, act):
    """Call `act` from another thread as soon as `ready` holds, while the block runs."""
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            if ready():
                act()
                return
            time.sleep(0.002)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def offsets(monkeypatch):
    """The byte that each copy began with."""
    seen = []
    copy = host._copy

    def noted(device, options, path, sha256, there, what, report):
        seen.append(there)
        return copy(device, options, path, sha256, there, what, report)

    monkeypatch.setattr(host, "_copy", noted)
    return seen


@pytest.mark.timeout(180)
def test_a_copy_that_was_cut_off_goes_on_where_it_stopped(fleet, deploy, make_pack, offsets) -> None:
    camera = fleet.add("cam1")
    incoming = camera.root / "incoming"

    def begun() -> bool:
        with contextlib.suppress(OSError):
            return any(path.stat().st_size > 1 << 20 for path in incoming.glob("*.part"))
        return False

    with once(begun, lambda: cut_connections(fleet)):
        done = deploy(make_pack("cam-1", size=96 << 20), "cam1", *STREAM, "--retries", 0)
    assert done.code == 1, done
    assert "the connection was lost" in done.errors()[0]
    assert camera.current is None
    (part,) = incoming.glob("*.part")
    there = part.stat().st_size
    done = deploy("--resume", "--parallel", 1, plain=True)
    assert (done.code, camera.current) == (0, "cam-1"), done
    assert offsets == [0, there]
    assert there >= 1 << 20
    assert deploy("--resume", plain=True).code == 2, "a rollout that is complete is not done again"


@pytest.mark.timeout(120)
def test_what_runs_on_the_device_goes_on_without_the_desk_and_is_found_again(fleet, deploy, make_pack) -> None:
    camera = fleet.add("cam1")
    deployment = camera.service / "deployment.json"

    def verifying() -> bool:
        with contextlib.suppress(OSError, ValueError):
            return json.loads(deployment.read_text())["step"] == "verify"
        return False

    with once(verifying, lambda: cut_connections(fleet)):
        done = deploy(make_pack("lingers-1"), "cam1", *STREAM, "--retries", 3)
    assert (done.code, camera.current) == (0, "lingers-1"), done
    assert "connecting again" in done.err
    assert len((camera.service / "history.jsonl").read_text().splitlines()) == 1, "it was done twice"


def test_a_part_that_was_changed_is_copied_again(fleet, deploy, make_pack, offsets) -> None:
    import hashlib

    camera = fleet.add("cam1")
    pack = make_pack("cam-1")
    incoming = camera.root / "incoming"
    incoming.mkdir(parents=True)
    (incoming / f"{hashlib.sha256(pack.read_bytes()).hexdigest()}.part").write_bytes(bytes(1000))
    done = deploy(pack, "cam1", *STREAM)
    assert (done.code, camera.current) == (0, "cam-1"), done
    assert offsets == [1000]


def survive(fleet, make_pack, name: str, cuts: int) -> tuple[int, int]:
    """Deploy while the power fails, again and again; return how often that came in time, and how often it switched."""
    camera, device = fleet.cameras[name], Device(name, config=str(fleet.config))

    def deploy(bundle: str, seed: int) -> host.Outcome:
        # Other arguments make a release of its own, also of a pack that is there already.
        options = Options(
            pack=str(make_pack(f"{name}-{bundle}")), stream=(f"street://?seed={seed}",), environment="~/env",
            manager="supervisor", ssh_config=str(fleet.config), grace=10, retries=0,
        )  # fmt: skip
        return host.deploy(device, make_plan(options, secrets.token_hex(4), dry_run=False), lambda *_: None)

    begun = time.monotonic()
    assert deploy("0", 0).state == "done"
    longest = 1.1 * (time.monotonic() - begun)
    rng = random.Random(name)
    old, in_time, switched = "0", 0, 0
    for number in range(1, cuts + 1):
        new = str(number) if number % 3 == 1 else old
        moment = time.monotonic() + rng.uniform(0.1, longest)
        with once(lambda: time.monotonic() > moment, camera.cut_power):  # noqa: B023 (ends with the block)
            outcome = deploy(new, number)
        camera.cut_power()
        in_time += not outcome.succeeded
        camera.boot()
        camera.wait_until(lambda: camera.health().get("results"), "streaming after the power came back", 60)
        found = whole(camera).removeprefix(f"{name}-")
        assert found in (old, new)
        assert not outcome.succeeded or found == new, "a deployment that said done was lost"
        assert not (camera.service / "trial.json").exists()
        switched += found == new != old
        old = found
    assert deploy("last", 0).state == "done"
    assert whole(camera) == f"{name}-last"
    left = [path for path in camera.root.rglob(".*") if path.suffix in (".partial", ".removed")]
    assert left == [], "an interrupted deployment's leavings are swept"
    return in_time, switched


@pytest.mark.timeout(300)
def test_power_cuts_at_random_moments_leave_a_whole_working_release(fleet, make_pack) -> None:
    names = [f"cam{number}" for number in range(DEVICES)]
    for name in names:
        fleet.add(name)
    with ThreadPoolExecutor(DEVICES) as pool:
        futures = [pool.submit(survive, fleet, make_pack, name, KILLS // DEVICES) for name in names]
        counts = [future.result() for future in futures]
    in_time, switched = (sum(column) for column in zip(*counts, strict=True))
    assert in_time > KILLS / 4, "the power failed too late to prove anything"
    print(f"{KILLS} power cuts, {in_time} of them within a deployment; {switched} new packs had been switched to")


def test_ctrl_c_ends_a_rollout_and_the_devices_go_on_alone(fleet, make_pack) -> None:
    camera = fleet.add("cam1")
    fleet.add("cam2")
    command = [
        f"{sys.prefix}/bin/segrt", "deploy", str(make_pack("lingers-1")), "cam1", "cam2", *STREAM, "--parallel", "1",
        "--ssh-config", str(fleet.config), "--environment", "~/env", "--manager", "supervisor", "--grace", "9s",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    said = ""
    while "running golden frames" not in said:
        said += process.stderr.readline()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: ssh gets it, too
    _, rest = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "segrt: interrupted" in rest
    assert "Traceback" not in rest
    camera.wait_until(lambda: camera.health().get("results"), "streaming without the desk")
    assert whole(camera) == "lingers-1"
    assert not fleet.cameras["cam2"].root.exists(), "a device was begun with after Ctrl-C"
