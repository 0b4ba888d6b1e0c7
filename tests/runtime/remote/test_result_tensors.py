"""Results survive the way through tensors bit for bit; tensors that are none are refused."""

from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from segrt.runtime import open_bundle
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.decode.group_centers import GroupCenters
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.errors import BackendError, BundleError
from segrt.runtime.remote.description import Description, own_version, read_description, same_release
from segrt.runtime.remote.result_tensors import PROTOCOL, result_kinds, to_result, to_tensors
from segrt.runtime.remote.troubles import told, trouble_of


@pytest.mark.parametrize("kind", ["argmax", "binary", "class_map", "query_instances", "merge_queries", "paste_masks"])
def test_tensors_are_as_announced_and_give_the_result_back(tiny: SimpleNamespace, kind: str) -> None:
    with open_bundle(tiny.bundle(kind), threads=1) as segmenter:
        result = segmenter(tiny.thirds(30, 60))
        manifest = segmenter.manifest
    tensors = to_tensors(result, manifest)
    kinds = result_kinds(manifest)
    assert list(tensors) == [one.name for one in kinds]
    for one in kinds:
        array = tensors[one.name]
        assert (array.dtype, array.shape[0]) == (np.dtype(one.dtype), 1)
        assert len(array.shape) == len(one.shape) + 1
        assert all(want in (-1, got) for want, got in zip(one.shape, array.shape[1:], strict=True))
    again = to_result(tensors, manifest.labels, manifest.technique)
    assert again.to_rows() == result.to_rows() if hasattr(result, "to_rows") else True
    back = to_tensors(again, manifest)
    assert all(back[name].tobytes() == array.tobytes() for name, array in tensors.items())


@pytest.mark.parametrize(
    ("rule", "queries", "dtype"),
    [(MergeQueries(), 100, "uint8"), (MergeQueries(), 300, "uint16"), (GroupCenters(top_k=2000), 100, "uint16")],
)
def test_ids_have_the_smallest_type_that_holds_any(
    tiny: SimpleNamespace, rule: object, queries: int, dtype: str
) -> None:
    manifest = read_bundle(tiny.bundle("merge_queries")).manifest
    heads = tuple(msgspec.structs.replace(head, shape=(1, queries, *head.shape[2:])) for head in manifest.heads)
    changed = msgspec.structs.replace(manifest, decode=rule, heads=heads)
    assert result_kinds(changed)[0].dtype == dtype


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("segment_ids", np.full((1, 4, 4), 9, np.uint8)),
        ("segments", np.zeros((1, 1, 8), np.int32)),
        ("scores", np.zeros((1, 7))),
        ("nonfinite_heads", np.zeros((1, 0), np.int32)),
    ],
)
def test_what_is_no_result_is_refused(tiny: SimpleNamespace, name: str, value: np.ndarray) -> None:
    with open_bundle(tiny.bundle("merge_queries"), threads=1) as segmenter:
        tensors = to_tensors(segmenter(tiny.thirds(4, 4)), segmenter.manifest)
        with pytest.raises(BackendError, match="the answer is no panoptic result"):
            to_result({**tensors, name: value}, segmenter.labels, "panoptic")


def description(**changes: object) -> bytes:
    manifest = msgspec.Raw(b'{"format": "9.0"}')
    known = Description(PROTOCOL, own_version(), "0" * 64, "fp32", "onnxruntime", "cpu", "cpu", "", manifest)
    return msgspec.json.encode(msgspec.structs.replace(known, **changes))


def test_models_of_another_segrt_or_manifest_are_refused() -> None:
    with pytest.raises(BundleError, match=r"^triton://h/x: has format 9\.0"):
        read_description(description(), "triton://h/x")
    with pytest.raises(BackendError, match=r"is a model of segrt 9\.9\.9, but this is segrt"):
        read_description(description(segrt="9.9.9"), "triton://h/x")
    with pytest.raises(BackendError, match="is a model of segrt"):
        read_description(description(protocol=PROTOCOL + 1), "triton://h/x")
    with pytest.raises(BackendError, match="in a way that this segrt cannot read"):
        read_description(b"{}", "triton://h/x")
    assert same_release("0.1.0", "0.1.7")
    assert not same_release("0.1.0", "0.2.0")


def test_an_error_is_the_same_on_both_sides() -> None:
    trouble = trouble_of(Exception(told(BundleError("a\nb"))))
    assert trouble.kind == "final"
    assert type(trouble.error) is BundleError
    assert str(trouble.error) == "a b"
