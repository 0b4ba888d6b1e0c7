"""A stream that is kept by an upgrade keeps what it needs: extras, variables, folders that it may write to."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pointing import write_pointing_bundle

from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.pack.writer import write_pack
from segrt.runtime.cli.deploy import _needs_of_device
from segrt.runtime.deploy import host
from segrt.runtime.deploy.device.json_conversion import from_json
from segrt.runtime.deploy.device.protocol import DeviceStatus, PackContent
from segrt.runtime.deploy.plan import Options, PackFile, Plan

pytestmark = pytest.mark.timeout(120)


def test_an_upgrade_keeps_the_extras_that_the_stream_needs(fleet, deploy, make_pack) -> None:
    camera = fleet.add("cam1")
    stream = ("--stream", "street://?seed=1 --sink mqtt://127.0.0.1/topic", "--extra", "report")
    assert deploy(make_pack("cam-1"), "cam1", *stream).code == 0
    record = camera.service / "current/release.json"
    kept = json.loads(record.read_text())
    assert kept["extras"] == ["mqtt", "report"]
    record.write_text(json.dumps(kept | {"extras": ["report"]}))  # an earlier version wrote down none at all
    assert deploy(make_pack("cam-2"), "cam1").code == 0
    assert json.loads(record.read_text())["extras"] == ["mqtt", "report"]


def test_a_network_that_takes_prompts_does_not_take_a_streams_place(fleet, deploy, make_pack, tmp_path: Path) -> None:
    camera = fleet.add("cam1")
    pointing = write_pack(read_bundle(write_pointing_bundle(tmp_path / "pointing")), tmp_path / "pointing.segrt").path
    assert deploy(make_pack("cam-1"), "cam1", "--stream", "street://?seed=1 --sink null:").code == 0
    before = camera.current
    for words in ((), ("--dry-run",)):
        done = deploy(pointing, "cam1", *words)
        (error,) = done.errors()
        assert error.startswith("cam1: segrt-stream streams, and an upgrade keeps that, but ")
        assert error.endswith(" segments what prompts point at, and a stream has none; give it another --service")
        assert camera.current == before
    assert deploy(pointing, "cam1", "--service", "prompts", "--dry-run").code == 0  # for a program of one's own


def test_variables_are_refused_where_the_devices_segrt_does_not_know_them(fleet, deploy, make_pack) -> None:
    camera = fleet.add("cam1", fills_in=False)
    done = deploy(make_pack("cam-1"), "cam1", "--stream", "${CAMERA} --sink null")
    assert done.errors() == ["cam1: segrt 9.9.9 does not fill in ${NAME} by itself; give a newer one, with --wheels"]
    assert camera.current is None


def test_a_unit_lets_the_stream_write_where_its_sinks_are() -> None:
    exchanges = json.loads((Path(__file__).parent / "recorded/exchanges.json").read_text())
    answer = exchanges["status of all services"]["answer"]["status"]
    status = replace(from_json(DeviceStatus, answer, "", ""), manager="systemd", root="/opt/segrt")
    (service,) = status.services
    assert service.release is not None
    kept = replace(service.release, stream=("street://?seed=1", "--sink", "/data/kept 100%/out.mp4", "--sink", "a.mp4"))
    status = replace(status, services=(replace(service, release=kept),))
    given = ("${CAMERA}", "--sink", "/recordings/out.mp4", "--metrics", "/run/metrics/m.json", "--sink", "null")
    for stream, expected in (
        (None, 'ReadWritePaths="-/data/kept 100%%"'),
        (given, "ReadWritePaths=-/recordings -/run/metrics"),
        (("street://?seed=1", "--sink", "out.mp4"), None),
        (("street://?seed=1", "--no-such-option"), None),
    ):
        options = Options(pack="p", service=service.service, stream=stream)
        plan = Plan(options, PackFile(Path("p"), 1, PackContent("0", "p")), None, "run", needs_of=_needs_of_device)
        lines = str(host._unit(plan, status)).splitlines()
        found = [line for line in lines if line.startswith("ReadWritePaths")]
        assert sorted(" ".join(found).split()) == sorted((expected or "").split())
