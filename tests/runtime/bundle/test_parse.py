"""The manifest is read strictly: every fault is named, a newer minor version is tolerated."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from segrt.runtime.authoring.pairing import PairOptions, pair_bundles
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.manifest import FORMAT, Manifest
from segrt.runtime.bundle.manifest_parsing import dump_manifest, parse_manifest
from segrt.runtime.errors import BundleError
from segrt.runtime.preprocess.input_spec import Resize


@pytest.fixture
def manifest(tiny: SimpleNamespace) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((tiny.bundle("merge_queries") / "manifest.json").read_bytes())
    return content


def parse(content: dict[str, Any]) -> Manifest:
    return parse_manifest(json.dumps(content).encode(), "manifest.json")


def test_what_is_written_is_read_again(tiny: SimpleNamespace) -> None:
    for kind in tiny.kinds:
        data = (tiny.bundle(kind) / "manifest.json").read_bytes()
        parsed = parse_manifest(data, "manifest.json")
        assert dump_manifest(parsed) == data
        assert parsed.name == f"tiny-{kind}"


@pytest.mark.parametrize("field", ["name", "technique", "inputs", "heads", "labels", "decode", "variants", "source"])
def test_a_missing_field_is_named(manifest: dict[str, Any], field: str) -> None:
    del manifest[field]
    with pytest.raises(
        BundleError, match=rf"^manifest\.json: Object missing required field `{field}`.*write the bundle"
    ):
        parse(manifest)


def test_a_missing_field_deep_inside_is_named_with_its_place(manifest: dict[str, Any]) -> None:
    del manifest["variants"][0]["file"]["sha256"]
    with pytest.raises(BundleError, match=r"missing required field `sha256` - at `\$\.variants\[0\]\.file`"):
        parse(manifest)


def test_an_unknown_field_is_refused_in_the_known_version(manifest: dict[str, Any]) -> None:
    manifest["heads"][0]["colour"] = "red"
    with pytest.raises(BundleError, match=r"unknown field `colour` - at `\$\.heads"):
        parse(manifest)


def test_unknown_fields_of_a_newer_minor_version_are_ignored(manifest: dict[str, Any]) -> None:
    known = parse(manifest)
    manifest["format"] = f"{FORMAT[0]}.{FORMAT[1] + 1}"
    for place in (
        manifest,
        manifest["inputs"][0],
        manifest["inputs"][0]["resize"],
        manifest["heads"][1],
        manifest["labels"][2],
        manifest["decode"],
        manifest["variants"][0]["file"],
        manifest["variants"][0]["tolerance"]["heads"]["masks"],
        manifest["golden"][0],
    ):
        place["invented_later"] = {"anything": [1, 2]}
    newer = parse(manifest)
    assert newer.format != known.format
    assert (newer.inputs, newer.heads, newer.labels, newer.decode) == (
        known.inputs,
        known.heads,
        known.labels,
        known.decode,
    )
    assert (newer.variants, newer.golden) == (known.variants, known.golden)


def test_a_newer_minor_version_is_still_checked(manifest: dict[str, Any]) -> None:
    manifest["format"] = f"{FORMAT[0]}.{FORMAT[1] + 1}"
    del manifest["labels"][0]["isthing"]
    with pytest.raises(BundleError, match="missing required field `isthing`"):
        parse(manifest)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (f"{FORMAT[0] + 1}.0", "this segrt reads 1.x; install a newer segrt"),
        ("0.9", "this segrt reads 1.x; write the bundle again"),
        ("1", 'must be "major.minor"'),
        ("one.two", 'must be "major.minor"'),
    ],
)
def test_other_versions_are_refused_by_number(manifest: dict[str, Any], version: str, message: str) -> None:
    manifest["format"] = version
    manifest["and_everything"] = "else may have changed"
    with pytest.raises(BundleError, match=message) as caught:
        parse(manifest)
    assert version in str(caught.value)


def test_an_unknown_required_feature_is_refused_by_name(manifest: dict[str, Any]) -> None:
    manifest["required_features"] = ["time-travel"]
    with pytest.raises(BundleError, match="needs 'time-travel', which this segrt does not know; install a newer segrt"):
        parse(manifest)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"format": 1}'])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match=r"^manifest\.json: "):
        parse_manifest(data, "manifest.json")


def _set(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        content[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _set("technique", to="semantic"),
            "decode rule of a semantic bundle must be one of argmax, class_map, query_semantic",
        ),
        (
            _set("name", to="../escaped"),
            r"name must be one plain file name .* but got '\.\./escaped'; write the bundle",
        ),
        (_set("name", to=".hidden"), "name must be one plain file name"),
        (_set("name", to="a\\b"), "name must be one plain file name"),
        (_set("name", to="two\nlines"), "name must be one plain file name"),
        (_set("name", to="x" * 129), "name must be one plain file name of at most 128 bytes"),
        (_set("variants", 0, "precision", to="fp32\n"), "matching regex"),
        (_set("labels", to=[]), "labels must not be empty"),
        (_set("variants", to=[]), "variants must not be empty"),
        (_set("inputs", to=[]), "inputs must have one of role image, but got 0"),
        (_set("heads", 1, "name", to="classes"), "heads must differ, but 'classes' is there twice"),
        (_set("heads", 1, "role", to="masks"), "needs a head of role mask_logits, but there is none"),
        (_set("heads", 1, "dtype", to="int64"), "must have 4 dimensions and dtype float16 or float32, but got int64"),
        (_set("heads", 0, "shape", to=[1, 4, 9]), r"has 9 classes, but there are 3 labels \+ 1 for no object"),
        (_set("inputs", 0, "shape", to=[1, 32, 48, 4]), "must have 3 channels in layout NHWC"),
        (_set("inputs", 0, "shape", to=[2, 32, 48, 3]), "must have a first dimension of 1"),
        (_set("inputs", 0, "mean", to=[1, 2, 3]), "is uint8, so its scale, mean and std must be left"),
        (
            _set("inputs", 0, "resize", "rule", to="shortest_edge"),
            "must be given with the rules shortest_edge and enlarge",
        ),
        (_set("inputs", 0, "resize", "pad", to=[0, 0, 300]), "must be 0 to 255"),
        (_set("inputs", 0, "resize", "pad", to=[0, 0]), "must be 3 numbers, one a channel"),
        (_set("variants", 0, "head_dtypes", to={"x": "float16"}), "names a head 'x' that is not among the heads"),
        (_set("variants", 0, "file", "path", to="../model.onnx"), "must be a plain path inside the bundle"),
        (_set("variants", 0, "file", "path", to="/etc/passwd"), "must be a plain path inside the bundle"),
        (_set("variants", 0, "file", "path", to="a//b"), "must be a plain path inside the bundle"),
        (_set("golden", 0, "image", "path", to="golden/../../x.png"), "must be a plain path inside the bundle"),
        (_set("golden", 0, "image", "path", to="C:\\x.png"), "must be a plain path inside the bundle"),
        (_set("decode", "score_threshold", to=2), "score_threshold"),
        (_set("decode", "rule", to="invented"), "invented"),
        (_set("variants", 0, "file", "sha256", to="abc"), "sha256"),
        (_set("labels", 0, "color", to=[0, 0, 256]), "color"),
    ],
)
def test_contradictions_are_named(
    manifest: dict[str, Any], change: Callable[[dict[str, Any]], None], message: str
) -> None:
    change(manifest)
    with pytest.raises(BundleError, match=message):
        parse(manifest)


def _places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            found += _places(value, (*path, key))
    return found


def test_no_mutation_of_a_manifest_escapes_as_another_error(manifest: dict[str, Any]) -> None:
    import copy
    import random

    rng = random.Random(0)
    values = [None, -1, 0, 3, 1.5, "", "x", [], {}, [1], True, 10**30, "\u0000", {"rule": "argmax"}, [[]], "N"]
    places = _places(manifest)
    refused = 0
    for number in range(1500):
        content = copy.deepcopy(manifest)
        if number % 2:
            content["format"] = f"{FORMAT[0]}.{FORMAT[1] + 1}"
        *steps, last = rng.choice(places)
        target = content
        for step in steps:
            target = target[step]
        target[last] = rng.choice(values)
        try:
            parse(content)
        except BundleError as error:
            refused += "\n" not in str(error)
    assert refused > 900


@pytest.mark.parametrize("data", [b"[" * 200_000, b'{"a":' * 200_000, b'{"format": "1.9", "x": ' + b"[" * 100_000])
def test_nesting_without_end_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match=r"^manifest\.json: "):
        parse_manifest(data, "manifest.json")


def test_names_of_other_languages_with_spaces_are_taken(manifest: dict[str, Any]) -> None:
    manifest["name"] = "Straße 2.1+Übung_a-b"
    assert parse(manifest).name == "Straße 2.1+Übung_a-b"


@pytest.mark.parametrize("resize", [Resize("enlarge", shortest_edge=24), Resize(interpolation="skimage")])
def test_older_readers_are_told_of_a_way_of_resizing(resize: Resize, tiny: SimpleNamespace, tmp_path: Path) -> None:
    semantic, instance = (tiny.bundle(kind, resize=resize) for kind in ("argmax", "query_instances"))
    content = json.loads((semantic / "manifest.json").read_bytes())
    assert content["required_features"] == ["resizing"]
    with pytest.raises(BundleError, match="resize of input 'image' must be named in required_features"):
        parse(content | {"required_features": []})
    pair_bundles(read_bundle(semantic), read_bundle(instance), tmp_path / "pair", PairOptions(threads=1))
    pair = json.loads((tmp_path / "pair" / "manifest.json").read_bytes())
    assert pair["required_features"] == ["members", "resizing"]
    with pytest.raises(BundleError, match="member 'semantic': resize of input 'image' must be named"):
        parse(pair | {"required_features": ["members"]})
