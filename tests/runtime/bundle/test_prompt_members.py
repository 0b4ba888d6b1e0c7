"""Manifests of bundles that take prompts: what contradicts itself is named."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

pytest.importorskip("onnx")

from pointing import pointing_manifest, write_pointing_bundle

from segrt.runtime.bundle.bundle_writer import BundleWriter
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.manifest import Manifest
from segrt.runtime.bundle.manifest_parsing import dump_manifest, parse_manifest
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.errors import BundleError


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    with BundleWriter(tmp_path_factory.mktemp("prompts") / "pointing") as writer:
        return pointing_manifest(writer)


def test_a_bundle_with_prompts_is_read_as_it_was_written(manifest: Manifest, tmp_path: Path) -> None:
    assert parse_manifest(dump_manifest(manifest), "here") == manifest
    bundle = read_bundle(write_pointing_bundle(tmp_path / "pointing"))
    assert bundle.manifest.takes_prompts
    assert bundle.manifest.embeddings == {"decoder.features": "encoder.features"}
    assert bundle.manifest.state == {}
    assert [part.manifest.name for part in bundle.parts] == ["pointing.encoder", "pointing.decoder"]


def without(entries: tuple[Any, ...], index: int) -> tuple[Any, ...]:
    return (*entries[:index], *entries[index + 1 :])


def changed(entries: tuple[Any, ...], index: int, **fields: Any) -> tuple[Any, ...]:
    return (*entries[:index], msgspec.structs.replace(entries[index], **fields), *entries[index + 1 :])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: {"required_features": ("members",)}, "must name 'prompts' in required_features"),
        (lambda m: {"members": m.members[:1]}, r"must have members encoder and decoder, but has \['encoder'\]"),
        (lambda m: {"members": m.members[::-1]}, "must have members encoder and decoder"),
        (lambda m: {"inputs": without(m.inputs, 2)}, "inputs must have one of role points"),
        (lambda m: {"inputs": m.inputs[1:]}, "inputs must be the encoder's image and the decoder's"),
        (lambda m: {"inputs": changed(m.inputs, 1, carries="encoder.none")}, "takes head 'encoder.none', .* there is"),
        (lambda m: {"inputs": changed(m.inputs, 1, shape=(1, 2, 3, 4))}, r"must be the encoder's, float32 \[1, 2, 3,"),
        (lambda m: {"inputs": changed(m.inputs, 2, shape=(1, 5, 2))}, "must be of equally many points"),
        (lambda m: {"inputs": changed(m.inputs, 2, dtype="int32")}, r"must be float32 \[1, K, 2\], but got int32"),
        (lambda m: {"inputs": changed(m.inputs, 0, shape=("N", 64, 64, 3))}, "must have a first dimension of 1"),
        (
            lambda m: {"inputs": changed(changed(m.inputs, 2, shape=(1, 2, 2)), 3, shape=(1, 2))},
            "must be of at least 3 points, two for a box and one at the end, but got 2",
        ),
        (
            lambda m: {"members": changed(m.members, 0, classes=(5,))},
            "member 'encoder' must have a class of the bundle",
        ),
        (lambda m: {"members": changed(m.members, 1, classes=())}, "member 'decoder' must have a class of the bundle"),
        (lambda m: {"members": changed(m.members, 1, labels=m.labels * 2)}, "member 'decoder' must have a class of"),
        (lambda m: {"decode": m.decode.replaced(stability_delta=1e308)}, "<= 10000"),
        (lambda m: {"heads": without(m.heads, 2)}, "needs a head of role decoder.iou_scores"),
        (lambda m: {"heads": changed(m.heads, 1, shape=(1, 3, 32, 32))}, "must be of 4 masks"),
        (lambda m: {"variants": changed(m.variants, 0, member_files={})}, "must have a network of encoder, its file"),
        (
            lambda m: {
                "decode": QueryInstances(),
                "members": (),
                "variants": changed(m.variants, 0, member_files={}),
            },
            "inputs of prompts need the decode rule prompted_masks",
        ),
    ],
)
def test_contradictions_are_named(manifest: Manifest, change: Any, message: str) -> None:
    broken = msgspec.structs.replace(manifest, **change(manifest))
    with pytest.raises(BundleError, match=message):
        parse_manifest(dump_manifest(broken), "here")
