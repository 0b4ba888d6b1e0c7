"""What is executed on a device is what was signed: releases are hashed before each start, packages when installed."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from segrt.runtime.deploy.device import environments
from segrt.runtime.deploy.device.failure import Failure
from segrt.runtime.deploy.device.file_hashes import sha256_of
from segrt.runtime.deploy.device.folders import ServiceFolders
from segrt.runtime.deploy.device.protocol import EnvironmentRequest

pytestmark = pytest.mark.timeout(180)
STREAM = ("--stream", "street://?seed=1 --sink null")


def signed(deploy, *words):
    """Deploy with the environment that the index names."""
    return deploy(*words, environment=None)


def restart(camera) -> None:
    """What happens when the service ends by itself."""
    os.kill(camera.health()["pid"], signal.SIGKILL)


def test_a_release_that_was_changed_is_not_started_and_the_one_before_is(camera, deploy, owner) -> None:
    assert signed(deploy, *owner.release("cam-2", 6)).code == 0
    network = next((camera.service / "current/bundle").glob("*.onnx"))
    network.write_bytes(network.read_bytes()[:-1] + b"\0")
    restart(camera)
    camera.wait_until(lambda: camera.history()[-1]["what"] == "return", "back at the release before")
    camera.wait_until(lambda: camera.current == "cam-1" and camera.health().get("results"), "streaming again")
    last = camera.history()[-1]
    assert (last["what"], last["result"]) == ("return", "done")
    assert "it is not what was signed: " in last["why"]
    assert f"{network.name}: was changed" in last["why"]


def test_a_changed_release_without_another_is_not_started_at_all(camera) -> None:
    release = (camera.service / "current").resolve()
    manifest, index, run = (release / name for name in ("bundle/manifest.json", "index.signed", "run"))
    original = {path: path.read_bytes() for path in (manifest, index, run)}

    def kept_from_starting(what: str) -> None:
        restart(camera)
        camera.wait_until(lambda: what in camera.health().get("text", ""), f"kept from starting ({what})")

    (release / "bundle/sitecustomize.py").write_text("")
    kept_from_starting("sitecustomize.py: was added")
    assert "is not started, for it is not what was signed" in (camera.service / "supervisor.log").read_text()
    (release / "bundle/sitecustomize.py").unlink()
    camera.wait_until(lambda: camera.health().get("results"), "streaming again")
    manifest.rename(camera.root / "manifest.json")
    manifest.symlink_to(camera.root / "manifest.json")
    kept_from_starting("manifest.json: was changed")
    manifest.unlink()
    manifest.write_bytes(original[manifest])
    run.write_text("#!/bin/sh\nsleep 60\n")
    camera.wait_until(lambda: "run: was changed" in camera.health().get("text", ""), "kept from starting (run)")
    run.write_bytes(original[run])
    camera.wait_until(lambda: camera.health().get("results"), "streaming again")
    index.write_bytes(original[index].replace(b'"counter":5', b'"counter":6'))
    kept_from_starting("index.signed: is not signed with the key")
    index.unlink()
    os.mkfifo(index)
    camera.wait_until(lambda: "is no regular file" in camera.health().get("text", ""), "kept from starting")
    index.unlink()
    index.write_bytes(original[index])
    camera.wait_until(lambda: camera.health().get("results"), "streaming again")


def test_a_manifest_that_was_changed_on_the_device_is_not_linked_into_the_next_release(
    fleet, deploy, make_pack
) -> None:
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
    tag = "py3-none-any"
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
    # The index that `segrt deploy` makes and signs by itself names the same files.
    done = signed(deploy, pack, "cam1", "--sign", owner.key, "--wheels", wheels)
    assert (done.code, camera.current) == (0, "cam-1"), done
    assert (camera.service / "current/env").resolve().name == f"{environment.name}-2", "what was changed is made anew"


def test_a_package_of_the_system_does_not_stand_in_for_a_hashed_wheel(tmp_path: Path, monkeypatch) -> None:
    code = (
        "import importlib.metadata as m, json; "
        "print(json.dumps(sorted({(d.name, d.version) for d in m.distributions()})))"
    )
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    there = json.loads(subprocess.run([base, "-I", "-c", code], capture_output=True, text=True, check=True).stdout)
    plain = [pair for pair in there if pair[0] not in ("pip", "setuptools") and pair[0].isidentifier()]
    if not plain:
        pytest.skip("this Python's system has no package to be mistaken for another")
    (name, version), *_ = plain
    folders = ServiceFolders(tmp_path / "segrt", "cam")
    folders.make()
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    segrt = make_wheel(wheels, "segrt", "9.9.9", (), **{"segrt-9.9.9.data__scripts__segrt": "#!python\n"})
    other = make_wheel(wheels, name, version, (), **{f"{name}_of_the_index.py": "value = 1\n"})
    hashes = {path: sha256_of(path) for path in (segrt, other)}
    for path, sha256 in hashes.items():
        (folders.incoming / sha256).write_bytes(path.read_bytes())
    monkeypatch.setattr(environments.sys, "executable", str(base))
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))

    def ensure(key: str, sha256: str) -> Path:
        lines = (f"segrt==9.9.9 --hash=sha256:{hashes[segrt]}", f"{name}=={version} --hash=sha256:{sha256}")
        request = EnvironmentRequest(
            key=key,
            wheels={path.name: found for path, found in hashes.items()},
            system_site_packages=True,
            offline=True,
            pinned=lines,
        )
        return environments.ensure(folders, request)

    made = ensure("signed-right", hashes[other])
    assert list(made.glob(f"lib/python3*/site-packages/{name}_of_the_index.py")), "the system's own was taken unhashed"
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(Failure, match=r"segrt cannot be installed: ERROR: .*(HASH|hash)"):
        ensure("signed-wrong", "0" * 64)
    assert not (folders.environments / "signed-wrong/complete").exists()
