"""Names, paths and modules of others get into no shell, no folder but their own and no Python of ours."""

import io
import json
import subprocess
from pathlib import Path

import pytest

from segrt.runtime.deploy.device import main
from segrt.runtime.deploy.device.folders import ServiceFolders
from segrt.runtime.deploy.device.kept_records import InstallOptions
from segrt.runtime.deploy.device.run_script import run_script

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--root", "$(touch /tmp/owned)"], "--root: must be an absolute path"),
        (["--root", "/opt/`id`"], "--root: must be an absolute path"),
        (["--root", "/opt/../etc"], "--root: must be an absolute path"),
        (["--root", "~/a;b"], "--root: must be an absolute path"),
        (["--root", "relative"], "--root: must be an absolute path"),
        (["--root", ""], "--root: must be an absolute path"),
        (["--service", "../../etc"], "a service's name must be letters, digits"),
        (["--service", "key.json"], "a service's name must be letters, digits"),
        (["--service", "-x"], "a service's name must be letters, digits"),
    ],
)
@pytest.mark.parametrize("mode", ["deploy", "--status", "--rollback"])
def test_a_root_or_service_that_is_no_name_is_refused_by_the_desk(deploy, make_pack, mode, words, why) -> None:
    done = deploy(*([make_pack("cam-1")] if mode == "deploy" else [mode]), "cam1", *words)
    assert done.code == 2, done
    assert why in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"root": "/tmp/$(id)"}, {"root": "/tmp/../etc"}, {"service": "../x"}, {"service": "envs"},
        {"command": "receive", "sha256": "../x", "size": 1, "offset": 0},
        {"command": "receive", "sha256": "0" * 64, "size": 1, "offset": -5},
    ],
)  # fmt: skip
def test_the_device_refuses_them_as_well(changed: dict[str, object], tmp_path: Path, capsys) -> None:

    request = {"command": "status", "root": str(tmp_path / "segrt"), "service": "cam"} | changed
    text = json.dumps(request).encode()
    main.serve(io.BytesIO(text), Path("segrt-device"), len(text))
    answer = json.loads(capsys.readouterr().out)
    assert answer["result"] == "failed"
    assert " must be " in answer["why"] or "has no byte" in answer["why"]
    assert not (tmp_path / "segrt").exists()


def test_a_folder_with_the_signs_of_a_shell_stays_a_folder(tmp_path: Path) -> None:

    root = tmp_path / f"$(touch {tmp_path.name}-owned)`id`"
    script = run_script(ServiceFolders(root, "cam"), ["x"], InstallOptions())
    release = tmp_path / "release"
    (release / "env/bin").mkdir(parents=True)
    (release / "env/bin/segrt").write_text('#!/bin/sh\nprintf "%s\\n" "$SEGRT_CACHE" "$PYTHONPATH$PYTHONHOME"\n')
    (release / "env/bin/segrt").chmod(0o755)
    (release / "run").write_text(script)
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": "/home/modules", "PYTHONHOME": "/home"}
    done = subprocess.run(
        ["sh", release / "run"], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    assert done.stdout == f"{root}/cam/cache\n\n"
    assert not list(tmp_path.glob("*-owned"))


def test_modules_in_the_login_users_home_get_into_nothing(fleet, deploy, make_pack) -> None:
    camera = fleet.add("cam1")
    for folder in (camera.home, camera.home / "modules"):
        folder.mkdir(exist_ok=True)
        for name in ("json", "argparse", "runpy", "zipfile", "hashlib"):
            (folder / f"{name}.py").write_text(f"open({str(camera.home / 'owned')!r}, 'a').write({name!r})\n")
    lines = (fleet.folder / "authorized").read_text()
    path = f'environment="PYTHONPATH={camera.home}/modules",environment="HOME='
    (fleet.folder / "authorized").write_text(lines.replace('environment="HOME=', path))
    done = deploy(make_pack("cam-1"), "cam1", "--stream", "street://?seed=1 --sink null")
    assert (done.code, camera.current) == (0, "cam-1"), done
    assert not (camera.home / "owned").exists(), (camera.home / "owned").read_text()
