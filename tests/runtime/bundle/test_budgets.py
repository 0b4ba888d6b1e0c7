"""What a bundle asks for is bounded before anything is done for it."""

import hashlib
import io
import json
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from segrt.runtime.authoring.verification import verify
from segrt.runtime.bundle.bundle import MANIFEST
from segrt.runtime.bundle.golden import read_golden
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.errors import BundleError
from segrt.runtime.segmenter import open_bundle

Change = Callable[[dict[str, Any]], None]


def changed(folder: Path, change: Change) -> Path:
    content = json.loads((folder / MANIFEST).read_text())
    change(content)
    (folder / MANIFEST).write_text(json.dumps(content))
    return folder


def with_golden(folder: Path, data: bytes) -> Path:
    """Put `data` in the place of the golden frame's outputs, the manifest with it."""

    def change(content: dict[str, Any]) -> None:
        file = content["golden"][0]["outputs"]
        (folder / file["path"]).write_bytes(data)
        file |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    return changed(folder, change)


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def test_sixty_thousand_heads_are_refused_at_once(tiny: SimpleNamespace) -> None:
    head = {"name": "h", "role": "h", "dtype": "float32", "shape": [1]}

    def change(content: dict[str, Any]) -> None:
        content["heads"] += [{**head, "name": f"h{number}", "role": f"r{number}"} for number in range(60_000)]

    folder = changed(tiny.bundle("argmax"), change)
    start = time.monotonic()
    with pytest.raises(BundleError, match="heads must be at most 1024, but there are 60001"):
        read_bundle(folder)
    assert time.monotonic() - start < 5


def test_names_are_compared_by_counting_not_each_with_each(tiny: SimpleNamespace) -> None:
    """As many labels, heads and files as a manifest may have take no time to speak of."""

    def change(content: dict[str, Any]) -> None:
        outputs, image = (content["golden"][0][key] for key in ("outputs", "image"))
        content["golden"] = [
            {
                "name": f"g{number}",
                "outputs": {**outputs, "path": f"o{number}.npz"},
                "image": {**image, "path": f"i{number}.png"},
            }
            for number in range(1024)
        ]
        content["golden"][-1]["image"]["path"] = "i0.png"

    folder = changed(tiny.bundle("argmax"), change)
    start = time.monotonic()
    with pytest.raises(BundleError, match=r"files must differ, but 'i0\.png' is there twice"):
        read_bundle(folder)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda content: content["inputs"][0].update(shape=[1, 100_000, 100_000, 3]), "must have at most 2147483648"),
        (lambda content: content["heads"][0].update(shape=[1, 3, 10**30, 1]), "must have at most 2147483648"),
        (lambda content: content["heads"][0].update(shape=[1] * 9), "must have at most 8 dimensions, but got 9"),
        (lambda content: content["variants"][0]["file"].update(path="n" * 300), "a path of at most 255 characters"),
        (lambda content: content["variants"].extend(content["variants"] * 64), "variants must be at most 64"),
        (lambda content: content["labels"].extend(content["labels"] * 30_000), "labels must be at most 65535"),
    ],
)
def test_what_no_network_has_is_refused(tiny: SimpleNamespace, change: Change, why: str) -> None:
    folder = changed(tiny.bundle("argmax"), change)
    with pytest.raises(BundleError, match=why) as raised:
        read_bundle(folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": "1.1", "x": ' + "[" * 5000, "1" * 5000, "\x00", "{}"])
@pytest.mark.parametrize("version", ["1.1", "1.9"])
def test_json_that_exhausts_a_parser_is_refused(tiny: SimpleNamespace, text: str, version: str) -> None:
    folder = tiny.bundle("argmax")
    whole = (folder / MANIFEST).read_text().replace('"format": "1.1"', f'"format": "{version}"')
    for content in (text, whole.replace('"tiny"', text, 1)):
        (folder / MANIFEST).write_text(content)
        with pytest.raises(BundleError, match=r"manifest\.json: ") as raised:
            read_bundle(folder)
        assert "\n" not in str(raised.value)


def test_a_golden_frame_of_megabytes_that_become_gigabytes_is_refused(tiny: SimpleNamespace) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out, out.open("class_map.npy", "w") as entry:
        header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000,), }\n"
        entry.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        for _ in range(12):  # more than the memory that is allowed below
            entry.write(bytes(1 << 24))
    bundle = read_bundle(with_golden(tiny.bundle("argmax"), file.getvalue()))
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=r"is no golden frame \(array 'class_map' has shape \[1000000000\]"):
            read_golden(bundle, bundle.manifest.golden[0])
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("kind", "change", "why"),
    [
        ("argmax", {"class_map": np.zeros((3, 4), np.uint8)}, r"result is of a picture of \[3, 4\]"),
        ("argmax", {"class_map": np.zeros((24, 48), np.float32)}, "class_map must be"),
        ("argmax", {"class_map": None}, "lacks 'class_map'"),
        ("merge_queries", {"ids": np.array([1.5])}, ""),
        ("merge_queries", {"class_ids": np.array([[1]])}, ""),
        ("merge_queries", {"class_ids": np.array([99, 99, 99])}, ""),
        ("merge_queries", {"live_queries": np.array([0])}, "but there are 1 live queries"),
        ("merge_queries", {"live_queries": np.array([[0, 1, 2]])}, "live_queries must be integers"),
        ("query_instances", {"masks": np.zeros((1, 24, 48), np.uint8)}, "not packed bits of the picture's size"),
        ("query_instances", {"masks": np.zeros((3, 24, 6), np.float32)}, "not packed bits"),
    ],
)
def test_a_golden_frame_that_does_not_fit_its_bundle_is_refused(
    tiny: SimpleNamespace, kind: str, change: dict[str, np.ndarray | None], why: str
) -> None:
    folder = tiny.bundle(kind)
    manifest = read_bundle(folder).manifest
    with np.load(folder / manifest.golden[0].outputs.path) as file:
        arrays = {name: file[name] for name in file.files} | change
    bundle = read_bundle(with_golden(folder, npz(**{k: v for k, v in arrays.items() if v is not None})))
    with pytest.raises(BundleError, match=f"is no golden frame .*{why}") as raised:
        read_golden(bundle, bundle.manifest.golden[0])
    assert "\n" not in str(raised.value)


def test_a_golden_frame_without_a_head_or_with_one_of_another_size_fails_the_check(tiny: SimpleNamespace) -> None:
    folder = tiny.bundle("merge_queries")
    manifest = read_bundle(folder).manifest
    with np.load(folder / manifest.golden[0].outputs.path) as file:
        arrays = {name: file[name] for name in file.files}
    narrow = {**arrays, "head_mask_logits": arrays["head_mask_logits"][:, :2]}
    with open_bundle(with_golden(folder, npz(**narrow)), threads=1) as segmenter:
        assert not all(check.passed for check in verify(segmenter))
    del arrays["head_mask_logits"]
    with (
        open_bundle(with_golden(folder, npz(**arrays)), threads=1) as segmenter,
        pytest.raises(BundleError, match="golden frame thirds lacks head_mask_logits"),
    ):
        verify(segmenter)
