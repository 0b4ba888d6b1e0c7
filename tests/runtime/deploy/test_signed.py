"""A device with a pinned key runs what the key's holder signed, and nothing else; each of TUF's attacks that it meets."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from segrt.runtime.deploy.device.statements import short_key

pytestmark = pytest.mark.timeout(180)
pytest.importorskip("cryptography")
STREAM = ("--stream", "street://?seed=1 --sink null")


@pytest.fixture
def camera(fleet, deploy, owner):
    """A device that has pinned the owner's key with the release cam-1, counter 5."""
    made = fleet.add("cam1")
    done = signed(deploy, *owner.release("cam-1", 5), *STREAM, "--pin-key", owner.public)
    assert (done.code, made.current) == (0, "cam-1"), done
    assert "pinned the key" in " ".join(done.out.split())
    return made


def signed(deploy, *words):
    """Deploy with the environment that the index names."""
    return deploy(*words, environment=None)


def history(camera) -> list[dict]:
    return [json.loads(line) for line in (camera.service / "history.jsonl").read_text().splitlines()]


def test_without_a_key_unsigned_packs_are_taken_and_that_is_said(fleet, deploy, make_pack, owner) -> None:
    camera = fleet.add("cam1")
    done = deploy(make_pack("cam-1"), "cam1", *STREAM)
    assert (done.code, camera.current) == (0, "cam-1"), done
    assert "no key is pinned: pack, segrt and its packages were taken unsigned" in " ".join(done.out.split())
    done = signed(deploy, *owner.release("cam-2", 1))
    assert done.errors() == ["cam1: has no pinned key to check the index with; add --pin-key KEY"]
    assert camera.current == "cam-1"


def test_arbitrary_software_is_refused_by_a_device_with_a_key(camera, deploy, make_pack, owner, tmp_path) -> None:
    key = json.loads((camera.root / "key.json").read_text())["key"]
    refusal = (
        f"cam1: takes only releases that are signed with the pinned key {short_key(key)}; make an index with `segrt "
        "sign`, and give it with --index"
    )
    done = deploy(make_pack("evil-2"), "cam1")
    assert done.errors() == [refusal]
    stranger = owner.make_key("stranger")
    done = signed(deploy, *owner.release("evil-2", 9, key=stranger))
    assert f"is not signed with the key {short_key(key)}" in done.errors()[0]
    done = signed(deploy, *owner.release("evil-2", 9, key=stranger), "--pin-key", f"{stranger}.pub")
    assert f"the key {short_key(key)} is pinned already" in done.errors()[0]
    index = owner.release("evil-2", 9)[-1]
    index.write_bytes(index.read_bytes().replace(b'"counter":9', b'"counter":8'))
    done = signed(deploy, make_pack("evil-2"), "cam1", "--index", index)
    assert "is not signed with the key" in done.errors()[0]
    assert camera.current == "cam-1"
    done = deploy("--status", "cam1")
    assert short_key(key) in done.out


def test_the_device_refuses_what_a_desk_of_the_attacker_sends(camera, deploy, make_pack, monkeypatch) -> None:
    from segrt.runtime.deploy import host

    monkeypatch.setattr(host, "check_trust", lambda *_: None)
    done = deploy(make_pack("evil-2"), "cam1")
    assert "takes only releases that are signed with the pinned key" in done.errors()[0]
    assert camera.current == "cam-1"


def test_an_older_release_comes_back_only_when_that_is_wanted_and_then_it_is_recorded(camera, deploy, owner) -> None:
    assert signed(deploy, *owner.release("cam-2", 7)).code == 0
    done = signed(deploy, *owner.release("cam-1", 5))
    assert done.errors() == [
        "cam1: the index has the counter 5, below 7, which a release here has passed; sign one with a higher "
        "--counter, or add --allow-downgrade"
    ]
    done = signed(deploy, *owner.release("cam-3", 7))
    assert "has the counter 7, that of another index, 7, which a release here has passed" in done.errors()[0]
    assert camera.current == "cam-2"
    done = signed(deploy, *owner.release("cam-1", 5), "--allow-downgrade")
    assert (done.code, camera.current) == (0, "cam-1"), done
    assert any("downgrade: the index has the counter 5, below 7" in note for note in history(camera)[-1]["notes"])
    assert json.loads((camera.service / "counter.json").read_text())["counter"] == 7, "the counter never falls"
    done = deploy("--rollback", "cam1")
    assert (done.code, camera.current) == (0, "cam-2"), done
    assert [(entry["what"], entry["result"]) for entry in history(camera)][-1] == ("rollback", "done")


def test_the_counter_rises_only_with_a_release_that_proved_itself(camera, deploy, owner) -> None:
    done = deploy(*owner.release("silent-2", 9), environment=None, grace="1s")
    assert (done.code, camera.current) == (1, "cam-1"), done
    assert json.loads((camera.service / "counter.json").read_text())["counter"] == 5
    done = signed(deploy, *owner.release("cam-3", 6))
    assert (done.code, camera.current) == (0, "cam-3"), done
    assert json.loads((camera.service / "releases").joinpath(
        (camera.service / "current").readlink().name, "release.json"
    ).read_text())["counter"] == 6  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"machine": "riscv64"}, "the index is for riscv64, not"),
        ({"service": "other"}, "is for the service 'other', not 'segrt-stream'"),
        ({"expires": "2001-01-01"}, "the index expired at 2001-01-01T00:00:00Z"),
        ({"segrt": "1.2.3"}, "the environment has segrt 9.9.9, but the index names 1.2.3; sign it anew"),
    ],
)
def test_an_index_for_something_else_or_of_long_ago_is_refused(camera, deploy, owner, changed, why) -> None:
    done = signed(deploy, *owner.release("cam-2", 9, **changed))
    assert done.code in (1, 2), done
    assert why in done.err
    assert camera.current == "cam-1"


def test_mixing_an_index_with_another_pack_is_refused(camera, deploy, owner, make_pack) -> None:
    index = owner.release("cam-2", 9)[-1]
    done = signed(deploy, make_pack("evil-3"), "cam1", "--index", index)
    assert (done.code, "is of another pack" in done.err) == (2, True), done
    done = deploy(make_pack("cam-2"), "cam1", "--index", index, environment="~/env")
    assert (done.code, "an index says which environment is used; leave --environment out" in done.err) == (2, True)
    assert camera.current == "cam-1"


def test_a_key_hands_over_to_the_next_by_its_own_word(camera, deploy, owner, tmp_path: Path) -> None:
    following, stranger = owner.make_key("next"), owner.make_key("stranger")
    words = {}
    for name, old in (("right", owner.key), ("wrong", stranger)):
        words[name] = tmp_path / f"{name}.rotation"
        subprocess.run(
            [f"{sys.prefix}/bin/segrt", "sign", "--new-key", f"{following}.pub", "--key", old, "--out", words[name]],
            check=True,
        )
    done = signed(deploy, *owner.release("cam-2", 1, key=following), "--rotate-key", words["wrong"])
    assert "the statement of --rotate-key: is not signed with the key" in done.errors()[0]
    assert camera.current == "cam-1"
    done = signed(deploy, *owner.release("cam-2", 1, key=following), "--rotate-key", words["right"])
    assert (done.code, camera.current) == (0, "cam-2"), done
    assert json.loads((camera.service / "counter.json").read_text())["counter"] == 1, "counters are the key's"
    done = signed(deploy, *owner.release("cam-3", 99))
    assert "is not signed with the key" in done.errors()[0], "the old key has no say any more"
    done = signed(deploy, *owner.release("cam-3", 2, key=following), "--rotate-key", words["right"])
    assert (done.code, camera.current) == (0, "cam-3"), "the same word twice does no harm"


# -- what lies on the device ----------------------------------------------------------------------------------------


def restart(camera) -> None:
    """What happens when the service ends by itself."""
    import signal

    os.kill(camera.health()["pid"], signal.SIGKILL)


def test_a_release_that_was_changed_is_not_started_and_the_one_before_is(camera, deploy, owner) -> None:
    assert signed(deploy, *owner.release("cam-2", 6)).code == 0
    network = next((camera.service / "current/bundle").glob("*.onnx"))
    network.write_bytes(network.read_bytes()[:-1] + b"\0")
    restart(camera)
    camera.wait_until(lambda: camera.current == "cam-1" and camera.health().get("results"), "back at cam-1")
    last = history(camera)[-1]
    assert (last["what"], last["result"]) == ("return", "done")
    assert "it is not what was signed: " in last["why"]
    assert f"{network.name}: was changed" in last["why"]


@pytest.mark.parametrize("how", ["added", "linked", "run", "index"])
def test_a_changed_release_without_another_is_not_started_at_all(camera, deploy, how: str) -> None:
    release = (camera.service / "current").resolve()
    if how == "added":
        (release / "bundle/sitecustomize.py").write_text("")
    elif how == "linked":
        (release / "bundle/manifest.json").rename(camera.root / "manifest.json")
        (release / "bundle/manifest.json").symlink_to(camera.root / "manifest.json")
    elif how == "run":
        (release / "run").write_text("#!/bin/sh\nsleep 60\n")
    else:
        text = (release / "index.signed").read_text()
        (release / "index.signed").write_text(text.replace('"counter":5', '"counter":6'))
    restart(camera)
    camera.wait_until(lambda: "is not started" in camera.health().get("text", ""), "kept from starting")
    assert "for it is not what was signed" in (camera.service / "supervisor.log").read_text()
    (release / "run").write_text("")


def test_a_manifest_that_was_changed_on_the_device_is_not_linked_into_the_next_release(fleet, deploy, make_pack) -> None:
    camera = fleet.add("cam1")
    assert deploy(make_pack("cam-1"), "cam1", *STREAM).code == 0
    manifest = camera.service / "current/bundle/manifest.json"
    manifest.write_text(manifest.read_text().replace('"cam-1"', '"cam-x"'))
    done = deploy(make_pack("cam-1"), "cam1", "--stream", "street://?seed=2 --sink null")
    assert (done.code, camera.current) == (0, "cam-1"), done
    assert "copying the pack" in done.err, "what is on the device was taken for the pack"


def test_a_damaged_key_counts_as_a_key(camera, deploy, make_pack) -> None:
    for content in ("", "{}", '{"key": "00"}', "\udcff"):
        (camera.root / "key.json").write_bytes(content.encode(errors="surrogateescape"))
        done = deploy(make_pack("evil-2"), "cam1")
        assert "key.json: " in done.errors()[0], done
        assert camera.current == "cam-1"


# -- the environment ------------------------------------------------------------------------------------------------


def test_nothing_is_taken_from_the_folder_that_one_is_in(fleet, deploy, make_pack, tmp_path, monkeypatch) -> None:
    (tmp_path / "dist").mkdir()
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    (tmp_path / f"dist/segrt-99.0-{python}-{python}-linux_{os.uname().machine}.whl").write_bytes(b"evil")
    monkeypatch.chdir(tmp_path)
    fleet.add("cam1")
    done = deploy(make_pack("cam-1"), "cam1", "--dry-run", environment=None)
    assert done.code == 0, done
    assert "99.0" not in done.out
    assert "install segrt[deploy]==" in " ".join(done.out.split())


def make_wheel(folder: Path, name: str, version: str, needs: tuple[str, ...], **files: str) -> Path:
    """Write a wheel that Python `name` version and machine of this device take."""
    tag = f"py3-none-any"
    if name == "segrt":
        python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
        tag = f"{python}-{python}-linux_{os.uname().machine}"
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nProvides-Extra: deploy\nProvides-Extra: web\n"
    contents = {path.replace("__", "/"): text for path, text in files.items()} | {
        f"{info}/METADATA": metadata + "".join(f"Requires-Dist: {need}\n" for need in needs),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    contents[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*contents, f"{info}/RECORD"))
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for where, text in contents.items():
            entry = zipfile.ZipInfo(where)
            entry.external_attr = 0o100755 << 16  # what pip makes a program by
            archive.writestr(entry, text)
    return path


def test_segrt_and_its_packages_are_installed_by_the_hashes_of_the_index(
    fleet, deploy, make_pack, owner, tmp_path: Path
) -> None:
    camera = fleet.add("cam1")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    stand_in = (camera.home / "env/bin/segrt").read_text().split("\n", 1)[1]
    program = "#!python\n" + stand_in.replace("import json", "import helper, json", 1)
    segrt = make_wheel(wheels, "segrt", "9.9.9", ("helper",), **{"segrt-9.9.9.data__scripts__segrt": program})
    helper = make_wheel(wheels, "helper", "1.0", (), **{"helper.py": "value = 1\n"})
    make_wheel(wheels, "extraneous", "1.0", (), **{"extraneous.py": ""})
    pack, index = make_pack("cam-1"), tmp_path / "cam.index"
    words = ["sign", pack, "--key", owner.key, "--out", index, "--counter", "3", "--wheels", wheels, "--extra", "web"]
    made = subprocess.run([f"{sys.prefix}/bin/segrt", *map(str, words)], capture_output=True, text=True, check=True)
    assert "2 packages" in made.stdout, made
    named = [entry["file"]["path"] for entry in json.loads(index.read_text().splitlines()[0])["packages"]]
    assert named == [helper.name, segrt.name], "what is not needed is not in the index"

    done = signed(deploy, pack, "cam1", "--index", index, *STREAM, "--pin-key", owner.public)
    assert (done.code, "give the folder that has them with --wheels" in done.err) == (2, True)
    original = helper.read_bytes()
    helper.write_bytes(original + b" ")
    done = signed(deploy, pack, "cam1", "--index", index, *STREAM, "--pin-key", owner.public, "--wheels", wheels)
    assert (done.code, "is not the file that the index names" in done.err) == (2, True)
    helper.write_bytes(original)
    done = signed(deploy, pack, "cam1", "--index", index, *STREAM, "--pin-key", owner.public, "--wheels", wheels)
    assert (done.code, camera.current) == (0, "cam-1"), done
    environment = (camera.service / "current/env").resolve()
    assert environment.name.startswith("signed-")
    record = json.loads((camera.service / "current/release.json").read_text())
    assert record["extras"] == ["deploy", "web"]
    assert hashlib.sha256((environment / "files.json").read_bytes()).hexdigest() == record["environment_files"]

    done = signed(deploy, pack, "cam1", "--index", index, "--wheels", wheels, "--stream", "street:// --sink mqtt://h/t")
    assert done.errors() == ["cam1: the stream needs segrt's extra 'mqtt', which the index lacks; sign with --extra"]

    (module,) = environment.glob("lib/python3*/site-packages/helper.py")
    module.write_text("value = 2\n")
    restart(camera)
    camera.wait_until(lambda: "helper.py: was changed" in camera.health().get("text", ""), "kept from starting")
    done = signed(deploy, pack, "cam1", "--index", index, "--wheels", wheels)
    assert (done.code, camera.current) == (0, "cam-1"), done
    assert (camera.service / "current/env").resolve().name == f"{environment.name}-2", "what was changed is made anew"
    assert "no-such" not in done.out
