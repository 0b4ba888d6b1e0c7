"""Whoever gives photos to a model of the drawn street hears of it once; the drawn street itself is no photo."""

from types import SimpleNamespace

import msgspec
import pytest
from click.testing import CliRunner

from segrt.runtime.bundle.locating import embedded_names, read_bundle
from segrt.runtime.bundle.manifest_parsing import dump_manifest, parse_manifest
from segrt.runtime.cli import cli
from segrt.runtime.cli.domain_remark import remark_on_domain

STREET = [SimpleNamespace(name=f"street-{technique}", domain="the street") for technique in ("semantic", "panoptic")]
PHOTOS = SimpleNamespace(name="deeplabv3", domain=msgspec.UNSET)


@pytest.mark.parametrize(
    ("manifests", "sources", "said"),
    [
        (STREET[:1], ["photo.jpg", "other.jpg"], "segrt: street-semantic knows the street alone, "),
        (
            [*STREET, PHOTOS, STREET[0]],
            ["photo.jpg"],
            "segrt: street-semantic, street-panoptic know the street ",
        ),
        (STREET[:1], ["street://?seed=1", "street://"], ""),
        (STREET[:1], ["street://?seed=1", "rtsp://camera"], "segrt: street-semantic knows"),
        ([PHOTOS], ["photo.jpg"], ""),
    ],
)
def test_the_remark_is_one_line(manifests, sources, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    remark_on_domain(manifests, sources)
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith(said)
    assert written.err.count("\n") == (1 if said else 0)


@pytest.mark.skipif("street-semantic" not in embedded_names(), reason="the embedded bundles are not here")
def test_embedded_bundles_state_their_domain_and_others_give_the_same_bytes() -> None:
    for name in embedded_names():
        manifest = read_bundle(name).manifest
        assert manifest.domain == "segrt's drawn street"
        assert parse_manifest(dump_manifest(manifest), "here") == manifest
        plain = msgspec.structs.replace(manifest, domain=msgspec.UNSET, format="1.0")
        assert b"domain" not in dump_manifest(plain)
        assert parse_manifest(dump_manifest(plain), "here") == plain
        assert "segrt's drawn street alone" in CliRunner().invoke(cli, ["inspect", name]).output
