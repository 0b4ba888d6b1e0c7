"""A pack reaches devices over ssh and runs there only if it proves itself; else what was there runs on."""

import json
import os
import sys
from pathlib import Path

import pytest

from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.pack.writer import write_pack
from segrt.runtime.deploy.rollout_record import read_record

pytestmark = pytest.mark.timeout(120)
STREAM = ("--stream", "street://?seed=1 --sink null")


def installed(fleet, deploy, make_pack, name="cam1", **options):
    """A device that runs the pack cam-1."""
    camera = fleet.add(name, **options)
    done = deploy(make_pack("cam-1"), name, *STREAM)
    assert done.code == 0, done
    return camera


def test_first_installation_upgrade_and_rollback(fleet, deploy, make_pack) -> None:
    camera = installed(fleet, deploy, make_pack)
    assert camera.current == "cam-1"
    assert camera.health()["ready"]
    before = camera.health()["pid"]
    done = deploy(make_pack("cam-1"), "cam1", *STREAM)
    assert done.code == 0, done
    assert "unchanged" in done.out
    assert camera.health()["pid"] == before, "the service was started anew for nothing"
    done = deploy(make_pack("cam-2"), "cam1")
    assert done.code == 0, done
    assert "cam1" in done.out
    assert camera.current == "cam-2"
    words = (camera.service / "log").read_text().splitlines()
    assert words[-1] == 'segrt: words: ["street://?seed=1", "--sink", "null"]', (
        "an upgrade keeps the stream's arguments"
    )
    done = deploy("--rollback", "cam1")
    assert done.code == 0, done
    assert camera.current == "cam-1"
    assert camera.health()["ready"]
    history = [json.loads(line) for line in (camera.service / "history.jsonl").read_text().splitlines()]
    assert [(entry["what"], entry["result"]) for entry in history] == [
        ("install", "done"), ("install", "unchanged"), ("install", "done"), ("rollback", "done"),
    ]  # fmt: skip
    assert list((camera.root / "incoming").iterdir()) == []


def test_releases_that_fail_leave_the_old_one_running(fleet, deploy, make_pack) -> None:
    camera = installed(fleet, deploy, make_pack)
    pid = camera.health()["pid"]
    for name, why in (
        ("differs-2", "cam1: golden frames differ on this device: 1 of 2 golden checks differ on this device"),
        ("silent-2", "cam1: the service was not healthy within 1 s: without a result; it says '0 results', and wrote"),
        ("crash-2", "cam1: the service ended 2 times: segrt: error: camera: there is no such camera"),
    ):
        done = deploy(make_pack(name), "cam1", grace="1s" if name == "silent-2" else "9s")
        assert done.code == 1, done
        (line,) = done.errors()
        assert line.startswith(why)
        assert camera.current == "cam-1"
        camera.wait_until(lambda: camera.health().get("results"), "streaming the old release")
        assert not (camera.service / "trial.json").exists()
        if name == "differs-2":
            assert "thirds        0.5    0.99   DIFFERS" in done.out, "the table of differences is brought back"
            assert camera.health()["pid"] == pid, "a release that was not switched to does not touch the service"


def test_a_first_release_that_fails_leaves_nothing_running_but_a_camera_may_be_away(fleet, deploy, make_pack) -> None:
    camera = fleet.add("cam1")
    done = deploy(make_pack("silent-1"), "cam1", *STREAM, grace="1s")
    assert done.code == 1, done
    assert camera.current is None
    camera.wait_until(lambda: not camera.processes(), "quiet")
    assert "not healthy" in deploy("--resume", plain=True).err
    assert len((camera.service / "history.jsonl").read_text().splitlines()) == 2, "what failed is tried again"
    done = deploy(make_pack("silent-1"), "cam1", *STREAM, "--health", "running")
    assert (done.code, camera.current) == (0, "silent-1"), done


def test_doctor_engine_and_budget_on_the_device(fleet, deploy, make_pack) -> None:
    from segrt.runtime.doctor import features as doctor

    tensorrt = "networks on the GPU with TensorRT"
    assert f'"{tensorrt}"' in Path(doctor.__file__).read_text(), "the name that the device looks for"
    remedy = {"command": "pip install av", "why": "video"}
    features = [
        {"name": tensorrt, "state": "works", "detail": "10.3", "remedies": []},
        {"name": "video files", "state": "missing", "detail": "no av", "remedies": [remedy]},
    ]
    camera = fleet.add(
        "cam1", more="  doctor  x\n  build  x\n  profile  x\n", doctor=json.dumps({"features": features})
    )
    done = deploy(make_pack("cam-1"), "cam1", *STREAM, "--precision", "fp32")
    assert done.code == 0, done
    assert "missing: video files (no av), try: pip install av" in " ".join(done.out.split())
    assert (camera.service / "cache/engine.plan").read_text() == "--precision fp32"
    assert "building the engine" in done.err
    done = deploy(make_pack("slow-2"), "cam1", "--budget", "33ms@p99", "--no-build")
    assert done.code == 1, done
    assert done.errors() == ["cam1: the budget 33ms@p99 is not met: p99 is 48.1 ms, more than 33ms@p99"]
    assert "p99 48.1 ms" in done.out
    assert "building the engine" not in done.err
    assert camera.current == "cam-1"
    fleet.add("plain")
    done = deploy(make_pack("cam-1"), "plain", *STREAM, "--budget", "33ms@p99")
    assert done.errors() == ["plain: the budget 33ms@p99 cannot be checked: segrt on the device has no `profile`"]


def test_a_bundle_is_packed_by_itself_and_signed(fleet, deploy, tiny, owner, own_cache: Path, tmp_path: Path) -> None:
    from segrt.runtime.bundle.pack.reader import Pack

    fleet.add("cam1")
    bundle = tiny.bundle("argmax", out="desk")
    done = deploy(bundle, "cam1", *STREAM, "--dry-run")
    assert done.code == 0, done
    (pack,) = (own_cache / "packs").iterdir()
    assert f"{pack}: tiny-argmax fp32, " in done.out
    assert "not signed" in done.out
    write_pack(read_bundle(bundle), tmp_path / "by-hand.segrt")
    assert pack.read_bytes() == (tmp_path / "by-hand.segrt").read_bytes()
    done = deploy(bundle, "cam1", *STREAM, "--dry-run", "--sign", owner.key, "--verify-key", owner.public)
    assert done.code == 0, done
    (signed,) = set((own_cache / "packs").iterdir()) - {pack}
    with Pack(signed) as opened:
        opened.check_signature(owner.public)
    done = deploy(bundle, "cam1", *STREAM, "--dry-run", "--verify-key", owner.public)
    assert (done.code, "use a pack made with --sign" in done.err) == (1, True)
    done = deploy(pack, "cam1", *STREAM, "--sign", owner.key, plain=True)
    assert done.code == 2
    assert "is no bundle; `segrt pack --sign` makes signed packs of bundles" in done.err
    assert "did you mean 'street-panoptic'?" in deploy("street-panoptik", "cam1", plain=True).err


@pytest.mark.prints_table("deploy")
def test_several_devices_some_of_which_fail(fleet, deploy, make_pack) -> None:
    good = [fleet.add(f"cam{number}") for number in (1, 2)]
    old = fleet.add("old", python="#!/bin/sh\necho 'segrt-python 3.8' >&2; exit 1\n")
    fleet.add("none", python="")
    fleet.add("stranger")
    keys = (fleet.folder / "authorized").read_text().splitlines()
    (fleet.folder / "authorized").write_text("\n".join(key for key in keys if "stranger" not in key) + "\n")
    with fleet.config.open("a") as file:
        file.write("Host gone\n HostName 127.0.0.1\n Port 1\n")
    names = ["cam1", "cam2", "old", "none", "stranger", "gone"]
    done = deploy(make_pack("cam-1"), *names, *STREAM, "--parallel", 6)
    assert done.code == 1, done
    assert [camera.current for camera in good] == ["cam-1", "cam-1"]
    said = dict(line.split(": ", 1) for line in done.errors())
    assert said["old"] == "has Python 3.8, but segrt needs 3.10 or newer; install one as python3"
    assert said["none"].startswith("has no python3 (")
    assert "Permission denied (publickey)" in said["stranger"]
    assert said["gone"].startswith("cannot be reached: ")
    assert "Connection refused" in said["gone"]
    assert not old.root.exists()
    assert "4 of 6 devices failed" in done.err
    assert read_record().left == ("old", "none", "stranger", "gone")

    done = deploy("--status", "cam1", "none")
    assert done.code == 1
    _, _, of_camera = done.out.partition("cam1")  # a row, or a block where the table is narrow
    assert "running," in done.out
    assert "UNREACHABLE" in done.out
    assert "segrt-stream" in of_camera


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(fleet, deploy, make_pack) -> None:
    camera = fleet.add("cam1")
    before = sorted(camera.home.rglob("*"))
    done = deploy(make_pack("cam-1"), "cam1", *STREAM, "--dry-run")
    assert done.code == 0, done
    said = " ".join(done.out.split())
    assert "first installation" in said
    assert "copy 0.0 MB" in said
    assert sorted(camera.home.rglob("*")) == before
    assert camera.processes() == []


def test_wheels_that_do_not_fit_are_named(fleet, deploy, make_pack, tmp_path: Path) -> None:
    camera = fleet.add("cam1")
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels/segrt-0.1.0-cp39-cp39-manylinux_2_17_riscv64.whl").write_bytes(b"")
    done = deploy(make_pack("cam-1"), "cam1", *STREAM, "--wheels", tmp_path / "wheels", environment=None)
    (line,) = done.errors()
    assert line.startswith(f"cam1: no wheel for Python {sys.version.split()[0]} on {os.uname().machine} (glibc ")
    assert "which has segrt-0.1.0-cp39-cp39-manylinux_2_17_riscv64.whl; make one with `make wheels`" in line
    assert not camera.root.exists()


def test_a_foreign_signature_is_refused_here_and_there(fleet, deploy, make_pack, tmp_path: Path) -> None:
    import subprocess

    for name in ("mine", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    camera = fleet.add("cam1")
    pack = make_pack("cam-1", key=tmp_path / "mine")
    done = deploy(pack, "cam1", *STREAM, "--verify-key", tmp_path / "other.pub")
    assert (done.code, camera.root.exists()) == (1, False)
    assert "is signed, but not with the key of" in done.err
    done = deploy(pack, "cam1", *STREAM, "--verify-key", tmp_path / "mine.pub")
    assert (done.code, camera.current) == (0, "cam-1"), done


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["PACK"], "say what goes where: segrt deploy BUNDLE USER@HOST..."),
        (["PACK", "-oProxyCommand=evil"], "No such option"),
        (["PACK", "cam1", "cam1"], "cam1 is given twice; name each device once"),
        (["PACK", "cam1", "--stream", "a --xyzzy"], "--stream: No such option '--xyzzy'. See"),
        (["PACK", "cam1", "--stream", '"unbalanced'], "cannot be split into words (no closing quotation); close every"),
        (
            ["PACK", "cam1", "--wheels", "no-wheels"],
            "no-wheels does not exist; give the folder that `make wheels` writes",
        ),
        (["PACK", "cam1", "--stream", "rtsp://user:secret@h/a"], "rtsp://***@h/a: holds a user or password"),
        (["PACK", "cam1", "--budget", "fast"], "33ms@p99 or 20ms@mean for instance"),
        (["PACK", "cam1", "--memory", "lots"], "the memory limit must be as 800M, 2G, 50% or infinity, but got 'lots'"),
        (["PACK", "cam1", "--service", "../x"], "a service's name must be letters"),
        (["PACK", "cam1", "--precision", "int3"], "has no variant of precision 'int3'; it has fp32"),
        (["absent.segrt", "cam1"], "absent.segrt: cannot be read"),
        (["--status"], "say which devices"),
        (["--status", "--rollback", "cam1"], "give one of --status, --rollback and --resume"),
        (["--resume"], "there is no rollout to go on with; give PACK and the devices"),
    ],
)
def test_wrong_use_ends_before_any_device_is_asked(fleet, deploy, make_pack, arguments, why) -> None:
    pack = make_pack("cam-1")
    done = deploy(*(pack if word == "PACK" else word for word in arguments))
    assert done.code == 2, done
    assert why in done.err
    assert "Traceback" not in done.err
    assert "publickey" not in (fleet.folder / "sshd.log").read_text()


def test_a_pack_with_fp32_can_be_deployed_at_tf32(fleet, deploy, make_pack) -> None:
    fleet.add("cam1")
    done = deploy(make_pack("cam-1"), "cam1", *STREAM, "--precision", "tf32", "--dry-run")
    assert done.code == 0, done


def test_a_configuration_of_ssh_that_is_missing_is_named(deploy, make_pack) -> None:
    done = deploy(make_pack("cam-1"), "cam1", "--ssh-config", "no-config", plain=True)
    assert done.code == 2
    assert "--ssh-config: no-config does not exist; give a file in the form of ~/.ssh/config" in done.err


def test_only_a_rollout_can_be_resumed(fleet, deploy, make_pack) -> None:
    fleet.add("cam1")
    for arguments in ([make_pack("cam-1"), "absent", "--dry-run"], ["--rollback", "cam1"]):
        done = deploy(*arguments)
        assert done.code == 1, done
        assert "1 of 1 device failed" in done.err
        assert "--resume" not in done.err


def test_a_full_disk_is_said_and_leaves_the_old_release(fleet, deploy, make_pack) -> None:
    import subprocess

    camera = installed(fleet, deploy, make_pack)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(camera.root / "incoming")], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs to mount a small file system: run as root")
    try:
        os.statvfs(camera.root / "incoming")
        done = deploy(make_pack("cam-2", size=3 << 20), "cam1")
    finally:
        subprocess.run(["umount", str(camera.root / "incoming")], check=True)
    (line,) = done.errors()
    assert "No space left on device" in line or "disk full" in line
    assert camera.current == "cam-1"
    assert deploy("--resume").code == 0
    assert camera.current == "cam-2"


@pytest.mark.timeout(200)
def test_this_segrt_on_a_device(fleet, deploy, tmp_path: Path) -> None:
    """No stand-in: hashes, golden frames and a stream of the real thing."""
    camera = fleet.add("cam1")
    pack = write_pack(read_bundle("street-semantic"), tmp_path / "street.segrt").path
    stream = "street://?seed=1&fps=10&width=320&height=180 --sink ${OUT} --stall-timeout 2s --threads 1"
    camera.service.mkdir(parents=True)
    (camera.service / "environment").write_text('OUT="out put.jsonl"\n')
    budget = ("--budget", "60000ms@p99", "--frames", 10)
    done = deploy(pack, "cam1", "--stream", stream, *budget, environment=sys.prefix, grace="60s")
    assert done.code == 0, done
    assert camera.health()["results"] > 0
    assert "100.0000% agree" in (camera.service / "current/verify.txt").read_text()
    lines = (camera.service / "work/out put.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["technique"] == "semantic"
    assert "measuring latency" in done.err
