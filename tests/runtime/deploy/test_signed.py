"""A device with a pinned key runs what the key's holder signed, and nothing else; the attacks that TUF lists."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from segrt.runtime.deploy.device.statements import short_key

pytestmark = pytest.mark.timeout(180)
pytest.importorskip("cryptography")
STREAM = ("--stream", "street://?seed=1 --sink null")


def signed(deploy, *words):
    """Deploy with the environment that the index names."""
    return deploy(*words, environment=None)


def test_without_a_key_unsigned_packs_are_taken_and_that_is_said(fleet, deploy, make_pack, owner) -> None:
    camera = fleet.add("cam1")
    done = deploy(make_pack("cam-1"), "cam1", *STREAM)
    assert (done.code, camera.current) == (0, "cam-1"), done
    assert "no key is pinned: pack, segrt and its packages were taken unsigned" in " ".join(done.out.split())
    done = signed(deploy, *owner.release("cam-2", 1))
    assert done.errors() == ["cam1: has no pinned key to check the index with; add --pin-key KEY"]
    assert camera.current == "cam-1"


def test_what_deploy_signs_is_taken_by_a_device_with_the_key_pinned(
    camera, deploy, make_pack, owner, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import metadata

    monkeypatch.setattr(metadata, "version", lambda _: "9.9.9")  # what the device's environment has
    make_pack("cam-2")
    bundle = make_pack("cam-2").with_name("bundle-cam-2")
    done = deploy(bundle, "cam1")
    assert "add --sign KEY" in done.errors()[0], "unsigned"
    done = deploy(bundle, "cam1", "--sign", owner.key)
    assert (done.code, camera.current) == (0, "cam-2"), done
    (first,) = (own_cache / "indices").iterdir()
    assert f"{first}: signed with {owner.key}" in done.out
    assert deploy(bundle, "cam1", "--sign", owner.key).out.count("unchanged") == 1, "the same index serves again"
    done = deploy(make_pack("cam-3"), "cam1", "--sign", owner.key)
    assert (done.code, camera.current) == (0, "cam-3"), "a pack's index is signed, too"
    done = deploy(bundle, "cam1", "--sign", owner.key)
    assert (done.code, camera.current) == (0, "cam-2"), "what its owner signs again may run again"
    done = deploy(bundle, "cam1", "--sign", owner.make_key("stranger"))
    assert "the index: is not signed with the key" in done.errors()[0]
    done = signed(deploy, bundle, "cam1", "--sign", owner.key)
    assert (done.code, "--sign: a device with a pinned key takes packages by their" in done.err) == (2, True), done


def test_a_first_deployment_signs_and_pins_at_once(fleet, deploy, tiny, owner, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    monkeypatch.setattr(metadata, "version", lambda _: "9.9.9")
    camera = fleet.add("cam1")
    done = deploy(tiny.bundle("argmax", out="cam-1"), "cam1", *STREAM, "--sign", owner.key, "--pin-key", owner.public)
    assert (done.code, camera.current) == (0, "tiny-argmax"), done
    assert "pinned the key" in " ".join(done.out.split())


def test_arbitrary_software_is_refused_by_a_device_with_a_key(camera, deploy, make_pack, owner) -> None:
    key = json.loads((camera.root / "key.json").read_text())["key"]
    refusal = (
        f"cam1: takes only releases that are signed with the pinned key {short_key(key)}; add --sign KEY, or make an "
        "index with `segrt sign` and give it with --index"
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
    (line,) = done.errors()
    assert line.startswith("cam1: the index has the counter 5, below 7, which a release here has passed; sign one with")
    done = signed(deploy, *owner.release("cam-3", 7))
    assert "has the counter 7, that of another index, 7, which a release here has passed" in done.errors()[0]
    assert camera.current == "cam-2"
    done = signed(deploy, *owner.release("cam-1", 5), "--allow-downgrade")
    assert (done.code, camera.current) == (0, "cam-1"), done
    assert any("downgrade: the index has the counter 5, below 7" in note for note in camera.history()[-1]["notes"])
    assert json.loads((camera.service / "counter.json").read_text())["counter"] == 7, "the counter never falls"
    done = deploy("--rollback", "cam1")
    assert (done.code, camera.current) == (0, "cam-2"), done
    assert [(entry["what"], entry["result"]) for entry in camera.history()][-1] == ("rollback", "done")


def test_the_counter_rises_only_with_a_release_that_proved_itself(camera, deploy, owner) -> None:
    done = deploy(*owner.release("silent-2", 9), environment=None, grace="1s")
    assert (done.code, camera.current) == (1, "cam-1"), done
    assert json.loads((camera.service / "counter.json").read_text())["counter"] == 5
    done = signed(deploy, *owner.release("cam-3", 6))
    assert (done.code, camera.current) == (0, "cam-3"), done
    assert json.loads((camera.service / "releases").joinpath(
        (camera.service / "current").readlink().name, "release.json"
    ).read_text())["counter"] == 6  # fmt: skip


def test_an_index_for_something_else_or_of_long_ago_is_refused(camera, deploy, owner) -> None:
    for changed, why in (
        ({"machine": "riscv64"}, "the index is for riscv64, not"),
        ({"service": "other"}, "is for the service 'other', not 'segrt-stream'"),
        ({"expires": "2001-01-01"}, "the index expired at 2001-01-01T00:00:00Z"),
        ({"segrt": "1.2.3"}, "the environment has segrt 9.9.9, but the index names 1.2.3; sign it anew"),
    ):
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
    back = tmp_path / "back.rotation"
    subprocess.run(
        [f"{sys.prefix}/bin/segrt", "sign", "--new-key", owner.public, "--key", following, "--out", back], check=True
    )
    done = signed(deploy, *owner.release("cam-4", 100), "--rotate-key", back)
    assert "was given up on this device; make a new one" in done.errors()[0], "a key that was given up came back"
    assert camera.current == "cam-3"
