"""A semantic and an instance bundle joined into a panoptic one behave as one, each member seeing its own input."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from segrt.runtime import open_bundle
from segrt.runtime.authoring.pairing import PairOptions, pair_bundles, unite
from segrt.runtime.authoring.rewriting import rewrite
from segrt.runtime.authoring.verification import verify
from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.manifest import Manifest
from segrt.runtime.bundle.manifest_parsing import dump_manifest, parse_manifest
from segrt.runtime.bundle.network_files import member_files
from segrt.runtime.cli.eval import evaluate
from segrt.runtime.cli.inspect import inspect
from segrt.runtime.cli.pair import pair as command
from segrt.runtime.decode.merge_members import MergeMembers
from segrt.runtime.errors import BackendError, BundleError, SegrtError
from segrt.runtime.inference.backends import open_members
from segrt.runtime.inference.network_file import Opening
from segrt.runtime.postproc import merge_semantic_instances
from segrt.runtime.preprocess.input_spec import Resize
from segrt.runtime.results import InstanceResult, Label, PanopticResult, SemanticResult
from segrt.runtime.stream import stream

RULE = MergeMembers(stuff_area_limit=50)


def make_pair(tiny: SimpleNamespace, tmp_path: Path, **options: Any) -> Path:
    """The brightest channel as class, stretched, with the objects of queries, letterboxed."""
    semantic = read_bundle(tiny.bundle("argmax", out="semantic"))
    instance = read_bundle(tiny.bundle("query_instances", out="instance", resize=Resize("letterbox")))
    chosen = PairOptions(**{"rule": RULE, "threads": 1, "overwrite": True, **options})
    pair_bundles(semantic, instance, tmp_path / "pair", chosen)
    return tmp_path / "pair"


def test_things_lie_over_stuff_and_each_member_has_its_own_geometry(tiny: SimpleNamespace, tmp_path: Path) -> None:
    image = tiny.thirds(40, 120)  # half of the letterboxed input is padding
    with open_bundle(make_pair(tiny, tmp_path), threads=1, backend="onnxruntime") as segmenter:
        result = segmenter(image)
        assert segmenter.technique == "panoptic"
        assert [(label.name, label.isthing) for label in segmenter.labels] == [
            ("red", False),
            ("green", True),
            ("blue", True),
        ]
        assert all(check.passed for check in verify(segmenter))
    assert isinstance(result, PanopticResult)
    found = {segment.class_id: segment for segment in result.segments}
    described = {result.labels[index].name: segment.isthing for index, segment in found.items()}
    assert described["green"]
    assert described["blue"]
    for name, column in (("green", 60), ("blue", 100)):
        segment = next(one for index, one in found.items() if result.labels[index].name == name)
        assert (result.segment_ids[5:35, column] == segment.id).all()
        assert segment.area == int((result.segment_ids == segment.id).sum())


def test_the_merge_is_that_of_the_members_own_results(tiny: SimpleNamespace, tmp_path: Path) -> None:
    folder = make_pair(tiny, tmp_path)
    image = tiny.thirds(97, 150)
    with open_bundle(folder, threads=1, backend="onnxruntime") as segmenter:
        result = segmenter(image)
    with open_bundle(tmp_path / "semantic", threads=1) as segmenter:
        semantic = segmenter(image)
    with open_bundle(tmp_path / "instance", threads=1) as segmenter:
        objects = segmenter(image)
    assert isinstance(result, PanopticResult)
    assert isinstance(semantic, SemanticResult)
    assert isinstance(objects, InstanceResult)
    # Of the three classes red alone is stuff, and what the instance network sees of it is no thing.
    stuff = (semantic.class_map == 0).astype(np.uint8)
    things = np.flatnonzero(objects.class_ids > 0)
    ids, merged = merge_semantic_instances(
        stuff, objects.masks[things], objects.scores[things], objects.class_ids[things], stuff_area_limit=50
    )
    np.testing.assert_array_equal(result.segment_ids, ids)
    assert len(merged) == len(result.segments) >= 3


def test_pictures_stream_through_both_slots(tiny: SimpleNamespace, tmp_path: Path) -> None:
    from segrt.runtime.files.images import write_image

    folder = tmp_path / "frames"
    folder.mkdir()
    pictures = [np.roll(tiny.thirds(60, 90), 7 * index, axis=1) for index in range(9)]
    for index, picture in enumerate(pictures):
        write_image(folder / f"{index}.png", picture)
    with open_bundle(make_pair(tiny, tmp_path), threads=1, backend="onnxruntime") as segmenter:
        alone = [segmenter(picture) for picture in pictures]
        streamed = [result for _, result in stream(segmenter, str(folder))]
    assert len(streamed) == 9
    for one, other in zip(alone, streamed, strict=True):
        assert isinstance(one, PanopticResult)
        assert isinstance(other, PanopticResult)
        np.testing.assert_array_equal(one.segment_ids, other.segment_ids)


def test_slots_survive_failures_and_early_releases(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = read_bundle(make_pair(tiny, tmp_path))
    with open_members(
        member_files(bundle, bundle.variant()), backend="onnxruntime", opening=Opening(threads=1)
    ) as backend:
        views = [dict(slot.inputs) for slot in (backend.acquire(), backend.acquire())]
        assert sorted(views[0]) == ["instance.image", "semantic.image"]
        assert views[0]["semantic.image"] is not views[1]["semantic.image"]
        inputs = {spec.name: np.zeros(spec.lengths, spec.dtype) for spec in backend.input_specs}
        for slot in backend._slots:
            backend.release(slot)
        broken = backend._members["instance"]  # type: ignore[attr-defined]

        def fail(slot: Any) -> Any:
            type(broken)._finish(broken, slot)
            raise BackendError("the device is gone")

        with monkeypatch.context() as patched:
            patched.setattr(broken, "_finish", fail)
            for _ in range(3):
                with pytest.raises(BackendError, match="the device is gone"):
                    backend.run(inputs)

        def refuse(slot: Any) -> None:  # noqa: ARG001 (the signature of `_start`)
            raise BackendError("the device is busy")

        with monkeypatch.context() as patched:
            patched.setattr(broken, "_start", refuse)
            for _ in range(3):
                with pytest.raises(BackendError, match="the device is busy"):
                    backend.run(inputs)
        for _ in range(3):
            heads = backend.run(inputs)
        assert sorted(heads) == ["instance.classes", "instance.masks", "semantic.logits"]
    with pytest.raises(BackendError, match="closed"):
        backend.run(inputs)


def test_thresholds_are_those_of_the_pair(tiny: SimpleNamespace, tmp_path: Path) -> None:
    folder = make_pair(tiny, tmp_path)
    with open_bundle(folder, threads=1, score_threshold=1.0) as segmenter:
        result = segmenter(tiny.thirds(60, 90))
    assert isinstance(result, PanopticResult)
    assert [(segment.class_id, segment.isthing) for segment in result.segments] == [(0, False)]
    assert (result.segment_ids == 0).mean() > 0.5  # where the semantic network sees a thing, there is nothing
    with open_bundle(folder, threads=1) as segmenter:
        heads, geometry = segmenter.heads(tiny.thirds(60, 90))
        none = segmenter.decoded(heads, geometry, stuff_area_limit=10**6, score_threshold=1.0)
    assert isinstance(none, PanopticResult)
    assert none.segments == []


def label(name: str, number: int, isthing: bool = False) -> Label:
    return Label(name, number, isthing, (number, 0, 0))


def test_classes_are_united_by_name() -> None:
    semantic = (label("void", 0), label("road", 1), label("car", 2, True), label("wall", 3), label("unused 4", 4))
    instance = (label("car", 7, True), label("unused 1", 1), label("wall", 9, True), label("road", 1))
    united, mapped, said = unite(semantic, instance)
    assert [(one.name, one.isthing, one.dataset_id) for one in united] == [
        ("road", False, 1),
        ("car", True, 7),
        ("wall", True, 9),
    ]
    assert mapped == {"semantic": (-1, 0, -1, -1, -1), "instance": (1, -1, 2, -1)}
    assert said[-1] == "left to the instance network, or to nobody: void, car, wall"
    united, _, said = unite((label("road", 7),), (label("car", 7, True),))
    assert [one.dataset_id for one in united] == [0, 1]
    assert any("numbered anew" in line for line in said)
    with pytest.raises(BundleError, match="the semantic bundle has no stuff class"):
        unite((label("car", 2, True),), instance)
    with pytest.raises(BundleError, match="the instance bundle has no class that is a thing"):
        unite(semantic, (label("road", 1),))


def test_older_readers_refuse_a_pair_by_name(tiny: SimpleNamespace, tmp_path: Path) -> None:
    bundle = read_bundle(make_pair(tiny, tmp_path))
    assert bundle.manifest.required_features == ("members",)
    assert len(bundle.manifest.files) == 2 + 2 * len(bundle.manifest.golden)
    (bundle.folder / "instance" / "model.fp32.onnx").write_bytes(b"changed")
    with pytest.raises(BundleError, match=r"instance/model\.fp32\.onnx: has 7 bytes, but the manifest says"):
        open_bundle(bundle.folder)


def changed(manifest: Manifest, **fields: Any) -> bytes:
    return dump_manifest(msgspec.structs.replace(manifest, **fields))


def test_contradictions_in_a_pair_are_named(tiny: SimpleNamespace, tmp_path: Path) -> None:
    manifest = read_bundle(make_pair(tiny, tmp_path)).manifest
    first, second = manifest.members
    variant = manifest.variants[0]
    cases = [
        ({"members": (second, first)}, "must have a semantic and an instance one, in this order"),
        ({"members": ()}, "must have a semantic and an instance one, in this order"),
        ({"required_features": ()}, "must name 'members' in required_features"),
        ({"members": (first, msgspec.structs.replace(second, name="semantic"))}, "members must differ in name"),
        ({"members": (first, msgspec.structs.replace(second, classes=(0, 9, 1)))}, "must have a class of the bundle"),
        ({"variants": (msgspec.structs.replace(variant, member_files={}),)}, "must have a network of semantic"),
        ({"heads": manifest.heads[1:]}, "member 'semantic': decode rule argmax needs a head of role semantic_logits"),
        ({"inputs": manifest.inputs[:1]}, "member 'instance': inputs must have one of role image, but got 0"),
    ]
    for fields, message in cases:
        with pytest.raises(BundleError, match=message):
            parse_manifest(changed(manifest, **fields), "m")
    plain = read_bundle(tmp_path / "semantic").manifest
    files = {"semantic": plain.variants[0].file}
    with pytest.raises(BundleError, match="member_files in a bundle of members and only there"):
        parse_manifest(changed(plain, variants=(msgspec.structs.replace(plain.variants[0], member_files=files),)), "m")


def test_wrong_bundles_are_refused_and_nothing_is_written(tiny: SimpleNamespace, tmp_path: Path) -> None:
    semantic = tiny.bundle("argmax", out="s")
    with pytest.raises(BundleError, match="is semantic, but a pair needs a semantic and an instance bundle"):
        pair_bundles(read_bundle(semantic), read_bundle(semantic), tmp_path / "pair", PairOptions())
    assert not (tmp_path / "pair").exists()


def test_a_pair_without_a_common_precision_takes_the_first_of_each(tiny: SimpleNamespace, tmp_path: Path) -> None:
    semantic, instance = (read_bundle(tiny.bundle(kind)) for kind in ("argmax", "query_instances"))
    other = tuple(msgspec.structs.replace(one, precision="fp16") for one in instance.manifest.variants)
    half = replace(instance, manifest=msgspec.structs.replace(instance.manifest, variants=other))
    said = pair_bundles(
        semantic, Bundle(half.folder, half.manifest), tmp_path / "pair", PairOptions(rule=RULE, threads=1)
    )
    assert said[-1] == "variants: fp32-fp16"
    with open_bundle(tmp_path / "pair", precision="fp32-fp16", threads=1) as segmenter:
        assert isinstance(segmenter(tiny.thirds(30, 60)), PanopticResult)


def test_the_street_pair_is_as_good_as_the_panoptic_network(tmp_path: Path) -> None:
    out = tmp_path / "street-pair"
    arguments = ["street-semantic", "street-instance", "--out", str(out), "--stuff-area-limit", "64", "--threads", "1"]
    outcome = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert outcome.exit_code == 0
    assert "stuff by the semantic network: sky, building, road, pavement, grass" in outcome.output
    shown = CliRunner().invoke(inspect, [str(out)], catch_exceptions=False).output
    assert "merge_members" in shown
    assert "instance/model.fp32.onnx" in shown
    figures = tmp_path / "figures.json"
    arguments = ["street-panoptic", str(out), "--annotations", "street://?seed=900000&frames=8&size=192x320"]
    outcome = CliRunner().invoke(evaluate, [*arguments, "--json", str(figures)], catch_exceptions=False)
    assert outcome.exit_code == 0
    alone, joined = (run["metrics"]["pq"] for run in json.loads(figures.read_text())["runs"])
    assert joined > 0.7
    assert joined > alone - 0.05


def test_a_copy_with_other_thresholds_holds_both_networks(tiny: SimpleNamespace, tmp_path: Path) -> None:
    bundle = read_bundle(make_pair(tiny, tmp_path))
    rewrite(bundle, tmp_path / "tuned", {"score_threshold": 0.9, "overlap_threshold": 0.3}, threads=1)
    tuned = read_bundle(tmp_path / "tuned")
    assert tuned.manifest.decode == MergeMembers(0.9, 0.3, 50)
    assert {file.path for file in tuned.manifest.variants[0].files} == {
        "semantic/model.fp32.onnx",
        "instance/model.fp32.onnx",
    }
    with open_bundle(tuned.folder, threads=1) as segmenter:
        assert all(check.passed for check in verify(segmenter))


@pytest.mark.parametrize("name", ["../escaped", "/tmp/x", ".hidden", ""])
def test_a_name_that_leads_out_of_a_folder_is_refused(tiny: SimpleNamespace, tmp_path: Path, name: str) -> None:
    with pytest.raises(SegrtError, match=r"^--name must be one plain file name"):
        make_pair(tiny, tmp_path, name=name)
    assert not (tmp_path / "pair").exists()
