"""Run-length codes: byte-identical with pycocotools, both ways."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segrt.runtime import postproc

coco = pytest.importorskip("pycocotools.mask")


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    share=st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0]),
    kind=st.sampled_from([np.bool_, np.uint8]),
)
def test_codes_equal_pycocotools_and_come_back(seed: int, size: Any, share: float, kind: Any) -> None:
    masks = (np.random.default_rng(seed).uniform(size=(3, *size)) < share).astype(kind)
    codes = postproc.encode_rle(masks)
    assert codes == [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]
    assert np.array_equal(postproc.decode_rle(codes), masks.astype(bool))
    areas, boxes = postproc.measure_rle(codes)
    assert areas.tolist() == [int(area) for area in coco.area(codes)]
    for box, expected in zip(boxes, coco.toBbox(codes), strict=True):
        x, y, width, height = expected.tolist()
        assert box.tolist() == ([x, y, x + width, y + height] if width else [0, 0, 0, 0])


def test_long_runs_are_packed_as_pycocotools_does() -> None:
    mask = np.zeros((1, 1500, 2000), np.uint8)
    mask[0, 700:710, 100:1900] = 1
    assert postproc.encode_rle(mask) == [coco.encode(np.asfortranarray(mask[0]))]


def test_strided_masks_are_read_in_place() -> None:
    masks = np.random.default_rng(0).uniform(size=(20, 30, 3)) < 0.5
    views = masks.transpose(2, 0, 1)[:, ::-1]
    assert np.array_equal(postproc.decode_rle(postproc.encode_rle(views)), views)


def test_no_masks_give_no_codes() -> None:
    assert postproc.encode_rle(np.zeros((0, 4, 4), np.bool_)) == []
    assert postproc.decode_rle([]).shape == (0, 0, 0)
    assert postproc.measure_rle([])[1].shape == (0, 4)


@pytest.mark.parametrize(
    "counts", [b"", b"9", b"\x00", b"~~~~", b"o", b"Po", b"PPPPPPPPPPPPPPPPPPPPP", b"ooooooooooo0"]
)
def test_damaged_codes_are_refused(counts: bytes) -> None:
    with pytest.raises(postproc.ArgumentError, match="rle counts"):
        postproc.decode_rle([{"size": [5, 5], "counts": counts}])


def test_codes_of_different_sizes_are_refused() -> None:
    codes = [*postproc.encode_rle(np.ones((1, 2, 3), np.bool_)), *postproc.encode_rle(np.ones((1, 3, 2), np.bool_))]
    with pytest.raises(postproc.ArgumentError, match="share one size"):
        postproc.decode_rle(codes)
