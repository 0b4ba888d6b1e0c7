"""What a deployment takes from the arguments of a stream."""

from collections.abc import Iterator

import pytest

from segrt.runtime.cli.deploy import _needs, _options
from segrt.runtime.deploy.stream_arguments import StreamWords, needs_of
from segrt.runtime.errors import SegrtError
from segrt.runtime.stream.needs import Needs
from segrt.runtime.stream.sinks.sink import Sink
from segrt.runtime.stream.sinks.sink_kinds import SINKS

GIVEN = {
    "service": "cam", "root": "auto", "manager": "auto", "sudo": False, "ssh_config": None, "environment": None,
    "backend": "auto", "precision": None, "budget": None, "frames": 100, "offline": False, "build": True, "grace": 60.0,
    "health": "frames", "keep": 3, "user": None, "memory": "2G", "groups": (), "retries": 2, "extras": ("gpu",),
    "wheels": None, "verify_key": None, "index": None, "pin_key": None, "rotate_key": None, "allow_downgrade": False,
}  # fmt: skip


class DummySink(Sink):
    """A sink from outside, which segrt's extra `dummy` would bring."""

    needs = Needs("dummy sinks", ("no-such-package",), "dummy")


@pytest.fixture
def dummy() -> Iterator[None]:
    """A kind of sink that is added from outside."""
    SINKS.add("dummy", DummySink)
    yield
    SINKS.remove("dummy")


@pytest.mark.parametrize(
    ("sinks", "extras"),
    [
        ((), set()),
        (("null", "out.mp4", "pictures/", "${OUT}"), set()),
        (("http://127.0.0.1:8080",), {"web"}),
        (("mqtt://broker/topic", "mqtts://broker/topic"), {"mqtt"}),
        (("HTTP://127.0.0.1:8080", "mqtts://broker/topic", "no-such-scheme://x"), {"web", "mqtt"}),
    ],
)
def test_sinks_bring_their_extras(sinks: tuple[str, ...], extras: set[str]) -> None:
    assert needs_of(StreamWords(("rtsp://camera/a",), sinks)).extras == extras


@pytest.mark.usefixtures("dummy")
def test_a_sink_from_outside_brings_its_extra_however_it_is_given() -> None:
    for words in ("street://?seed=1 --sink dummy://x --rle", "street://?seed=1 --sink=dummy://x"):
        options = _options("cam.segrt", GIVEN | {"stream": words})
        assert options.extras == ("dummy", "gpu")
        assert options.stream == tuple(words.split())


def test_following_things_brings_its_extra() -> None:
    words = "street://?seed=1 --sink null --track --track-lost 3s"
    assert _options("cam.segrt", GIVEN | {"stream": words}).extras == ("gpu", "track")


def test_only_sinks_bring_extras_of_sinks() -> None:
    assert _options("cam.segrt", GIVEN | {"stream": "http://camera/mjpeg --sink null"}).extras == ("gpu",)
    with pytest.raises(SegrtError, match=r"--stream: No such option '--xyzzy'. See"):
        _options("cam.segrt", GIVEN | {"stream": "a --xyzzy"})


@pytest.mark.parametrize(
    ("sinks", "folders"),
    [
        (("out.mp4", "pictures/", "null", "http://127.0.0.1:80", "mqtt://h/t"), ()),
        (("/recordings/out.mp4", "/recordings/out.jsonl"), ("/recordings",)),
        (("/recordings/pictures/", "/data/a/%06d.png"), ("/data", "/data/a", "/recordings", "/recordings/pictures")),
        (("/recordings/masks.json",), ("/recordings", "/recordings/masks")),
        (("/out.mp4", "/${NAME}/out.mp4", "/recordings/${NAME}.mp4"), ("/recordings",)),
    ],
)
def test_sinks_say_which_folders_they_write_to(sinks: tuple[str, ...], folders: tuple[str, ...]) -> None:
    assert needs_of(StreamWords(("rtsp://camera/a",), sinks)).folders == folders


def test_metrics_are_written_too() -> None:
    assert needs_of(StreamWords(metrics="/run/segrt/metrics.json")).folders == ("/run/segrt",)
    assert needs_of(StreamWords(metrics="metrics.json")).folders == ()


def test_zones_bring_the_extras_and_folders_of_their_outputs() -> None:
    words = "rtsp://c/a --zones /etc/segrt/z.json --events mqtt://b/t --events /data/e.jsonl --record-to /clips"
    needs = _needs(words.split())
    assert (needs.extras, needs.folders) == ({"mqtt"}, ("/data",))
    assert _needs([*words.split(), "--record-on", "person in door"]).folders == ("/clips", "/data")
    assert _needs([*words.split(), "--zones-edit"]).folders == ("/data", "/etc/segrt"), "what the page saves is written"
    with pytest.raises(SegrtError, match=r"--zones z.json: is looked for on the device, .*/etc/segrt/z.json"):
        _needs(["rtsp://c/a", "--zones", "z.json"])
    assert _needs(["rtsp://c/a", "--zones", "z.json"], of_device=True).extras == set()
