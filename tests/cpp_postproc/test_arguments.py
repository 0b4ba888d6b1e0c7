"""Wrong arguments are refused with their name, in Python and, behind it, in C++."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scenes import query_heads

from segrt.runtime import _postproc, postproc
from segrt.runtime.errors import SegrtError

CLASSES, MASKS = query_heads(np.random.default_rng(0), 6, 3, 8, 9)
BOXES = np.zeros((6, 4), np.float32)
SEMANTIC = np.zeros((8, 9), np.uint8)
BITS = np.zeros((6, 8, 9), np.bool_)
IMAGE = np.zeros((8, 9, 3), np.uint8)
ONES = [1.0] * 6

REFUSED: dict[str, tuple[str, Callable[[], Any]]] = {
    "float64 classes": ("class_logits", lambda: postproc.merge_queries(CLASSES.astype(float), MASKS, (4, 4))),
    "flat classes": ("class_logits", lambda: postproc.merge_queries(CLASSES[0], MASKS, (4, 4))),
    "one class column": ("class_logits", lambda: postproc.merge_queries(CLASSES[:, :1], MASKS, (4, 4))),
    "flat masks": ("mask_logits", lambda: postproc.merge_queries(CLASSES, MASKS[0], (4, 4))),
    "empty masks": ("mask_logits", lambda: postproc.merge_queries(CLASSES, MASKS[:, :0], (4, 4))),
    "list of masks": ("mask_logits", lambda: postproc.merge_queries(CLASSES, MASKS.tolist(), (4, 4))),
    "queries differ": ("queries", lambda: postproc.merge_queries(CLASSES[:5], MASKS, (4, 4))),
    "zero size": ("size", lambda: postproc.merge_queries(CLASSES, MASKS, (0, 4))),
    "negative size": ("size", lambda: postproc.argmax_map(MASKS, (4, -4))),
    "huge size": ("size", lambda: postproc.argmax_map(MASKS, (1 << 20, 1 << 20))),
    "three sizes": ("size", lambda: postproc.argmax_map(MASKS, (4, 4, 4))),
    "broken size": ("size", lambda: postproc.argmax_map(MASKS, (4.5, 4))),
    "rule": ("rule", lambda: postproc.merge_queries(CLASSES, MASKS, (4, 4), rule="mine")),
    "processed size": (
        "processed_size",
        lambda: postproc.merge_queries(CLASSES, MASKS, (4, 4), processed_size=(8, 8)),
    ),
    "out dtype": ("out", lambda: postproc.merge_queries(CLASSES, MASKS, (4, 4), out=np.zeros((4, 4), np.int64))),
    "out shape": ("out", lambda: postproc.argmax_map(MASKS, (4, 4), out=np.zeros((4, 5), np.uint8))),
    "out rows": ("out", lambda: postproc.argmax_map(MASKS, (4, 4), out=np.zeros((4, 8), np.uint8)[:, ::2])),
    "threads": ("threads", lambda: postproc.argmax_map(MASKS, (4, 4), threads=-1)),
    "window outside": ("window", lambda: postproc.argmax_map(MASKS, (4, 4), window=(0, 0, 9, 9))),
    "window empty": ("window", lambda: postproc.argmax_map(MASKS, (4, 4), window=(1, 0, 1, 9))),
    "window nan": ("window", lambda: postproc.argmax_map(MASKS, (4, 4), window=(0, np.nan, 4, 4))),
    "stuff": ("stuff_classes", lambda: postproc.merge_queries(CLASSES, MASKS, (4, 4), stuff_classes=["sky"])),
    "no classes": ("logits", lambda: postproc.argmax_map(MASKS[:0], (4, 4))),
    "top_k": ("top_k", lambda: postproc.query_instances_rle(CLASSES, MASKS, (4, 4), top_k=-1)),
    "activation": ("activation", lambda: postproc.query_instances_rle(CLASSES, MASKS, (4, 4), activation="relu")),
    "boxes": ("boxes", lambda: postproc.paste_masks(MASKS, BOXES[:5], (4, 4))),
    "boxes dtype": ("boxes", lambda: postproc.paste_masks_rle(MASKS, BOXES.astype(int), (4, 4))),
    "paste rule": ("rule", lambda: postproc.paste_masks(MASKS, BOXES, (4, 4), rule="mine")),
    "paste out": ("out", lambda: postproc.paste_masks(MASKS, BOXES, (4, 4), out=np.zeros((6, 4, 4), np.uint8))),
    "coefficients": ("coefficients", lambda: postproc.prototype_masks_rle(MASKS, BOXES, BOXES, (4, 4))),
    "processed size and compat": (
        "processed_size",
        lambda: postproc.prototype_masks_rle(
            MASKS, np.ones((6, 6), np.float32), BOXES, (4, 4), processed_size=(8, 8), compat=True
        ),
    ),
    "whole masks": ("masks", lambda: postproc.whole_masks_rle(MASKS[0], (4, 4))),
    "whole masks in a window": ("window", lambda: postproc.whole_masks_rle(MASKS, (4, 4), window=(0, 0, 99, 4))),
    "masks in two steps": (
        "window",
        lambda: postproc.stepwise_masks_rle(MASKS, (4, 4), processed_size=(8, 8), window=(0, 0, 9, 8)),
    ),
    "predictions": ("predictions", lambda: postproc.decode_yolo(BOXES[:4])),
    "max_detections": ("max_detections", lambda: postproc.decode_yolo(MASKS[0], max_detections=-1)),
    "masks dtype": ("masks", lambda: postproc.matrix_nms(MASKS, ONES, [1] * 6)),
    "scores": ("scores", lambda: postproc.matrix_nms(BITS, ONES[:5], [1] * 6)),
    "class ids": ("class_ids", lambda: postproc.matrix_nms(BITS, ONES, [1.5] * 6)),
    "kernel": ("kernel", lambda: postproc.matrix_nms(BITS, ONES, [1] * 6, kernel="mine")),
    "semantic": (
        "semantic",
        lambda: postproc.merge_semantic_instances(SEMANTIC.astype(np.float32), BITS, ONES, [1] * 6),
    ),
    "masks' shape": ("masks", lambda: postproc.merge_semantic_instances(SEMANTIC[1:], BITS, ONES, [1] * 6)),
    "heatmap": ("center_heatmap", lambda: postproc.group_centers(SEMANTIC, MASKS, MASKS[:2], thing_classes=[])),
    "nms kernel": (
        "nms_kernel",
        lambda: postproc.group_centers(SEMANTIC, MASKS[0], MASKS[:2], thing_classes=[], nms_kernel=4),
    ),
    "thing class": ("thing_classes", lambda: postproc.group_centers(SEMANTIC, MASKS[0], MASKS[:2], thing_classes=[-1])),
    "grey image": ("image", lambda: postproc.resize_normalize(SEMANTIC, (4, 4))),
    "float image": ("image", lambda: postproc.resize_normalize(IMAGE.astype(np.float32), (4, 4))),
    "layout": ("layout", lambda: postproc.resize_normalize(IMAGE, (4, 4), layout="CWH")),
    "interpolation": ("interpolation", lambda: postproc.resize_normalize(IMAGE, (4, 4), interpolation="cubic")),
    "float out": ("out", lambda: postproc.resize_normalize(IMAGE, (4, 4), out=np.zeros((3, 4, 5), np.float32))),
    "encode": ("masks", lambda: postproc.encode_rle(MASKS)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_arguments_are_refused_by_name(case: str) -> None:
    name, call = REFUSED[case]
    with pytest.raises(postproc.ArgumentError, match=name) as caught:
        call()
    assert isinstance(caught.value, SegrtError)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


OUT = np.zeros((4, 4), np.int32)
READ_ONLY = np.frombuffer(bytes(16), np.uint8).reshape(4, 4)
MANY = np.zeros((300, 1, 1), np.float32)
FUSION: tuple[Any, ...] = (ONES, [1] * 6, OUT, 0.5, 0.5, 1, 1)
MERGE: tuple[Any, ...] = ("maskformer", 0.5, 0.8, [], None, None, False, 1)
BEHIND: dict[str, tuple[str, Callable[[], Any]]] = {
    "float64": ("class_logits", lambda: _postproc.merge_queries(CLASSES.astype(float), MASKS, OUT, *MERGE)),
    "rank": ("mask_logits", lambda: _postproc.merge_queries(CLASSES, MASKS[0], OUT, *MERGE)),
    "queries": ("queries", lambda: _postproc.merge_queries(CLASSES[:2], MASKS, OUT, *MERGE)),
    "out": ("out", lambda: _postproc.merge_queries(CLASSES, MASKS, OUT.astype(np.int64), *MERGE)),
    "read-only out": ("out", lambda: _postproc.argmax_map(MASKS, READ_ONLY, None, None, 1)),
    "score_at": (
        "score_at",
        lambda: _postproc.query_instances(CLASSES, MASKS, (4, 4), 5, 0.0, "softmax", True, "mask", None, None, 1),
    ),
    "processed score": (
        "processed size",
        lambda: _postproc.query_instances(CLASSES, MASKS, (4, 4), 5, 0.0, "softmax", True, "processed", None, None, 1),
    ),
    "processed size": ("size", lambda: _postproc.argmax_map(MASKS, OUT.astype(np.uint8), None, (0, 4), 1)),
    "rule": ("rule", lambda: _postproc.merge_queries(CLASSES, MASKS, OUT, "mine", *MERGE[1:])),
    "threads": ("threads", lambda: _postproc.argmax_map(MASKS, OUT.astype(np.uint8), None, None, 1000)),
    "window": ("window", lambda: _postproc.argmax_map(MASKS, OUT.astype(np.uint8), (0.0, 2.0, 1.0, 1.0), None, 1)),
    "small type": ("too small", lambda: _postproc.argmax_map(MANY, OUT.astype(np.uint8), None, None, 1)),
    "size": ("size", lambda: _postproc.paste_masks_rle(MASKS, BOXES, (0, 4), 0.5, "torchvision", 1)),
    "boxes": ("boxes", lambda: _postproc.paste_masks_rle(MASKS, BOXES[:, :3], (4, 4), 0.5, "torchvision", 1)),
    "coefficients": (
        "coefficients",
        lambda: _postproc.prototype_masks_rle(MASKS, BOXES, BOXES, (4, 4), None, None, False, 1),
    ),
    "predictions": ("predictions", lambda: _postproc.decode_yolo(BOXES[:4], 0.5, 0.5, 10, 0, False)),
    "masks": ("masks", lambda: _postproc.matrix_nms(BITS, [1.0], [1], "gaussian", 2.0, 1)),
    "semantic": ("semantic", lambda: _postproc.merge_semantic_instances(SEMANTIC, BITS, *FUSION)),
    "heatmap": ("center_heatmap", lambda: _postproc.group_centers(SEMANTIC, MASKS, MASKS, OUT, [], 0.1, 7, 9, 1, 1)),
    "image": ("image", lambda: _postproc.resize_normalize(IMAGE[..., ::-1], OUT, 0, (1.0,) * 3, (0.0,) * 3, False, 1)),
    "kernels": ("mmx", lambda: _postproc.choose_kernels("mmx")),
}  # fmt: skip


@pytest.mark.parametrize("case", BEHIND)
def test_the_core_refuses_too(case: str) -> None:
    name, call = BEHIND[case]
    with pytest.raises(ValueError, match=name):
        call()


def test_several_callers_at_once_get_the_same_as_one() -> None:
    expected = postproc.merge_queries(CLASSES, MASKS, (97, 130), overlap_threshold=0.2)[0]
    results: list[Any] = []

    def work() -> None:
        results.extend(
            postproc.merge_queries(CLASSES, MASKS, (97, 130), overlap_threshold=0.2, threads=2)[0] for _ in range(20)
        )

    callers = [threading.Thread(target=work) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(results) == 80
    assert all(np.array_equal(result, expected) for result in results)


FORK = """
import os
import numpy as np
from segrt.runtime import postproc
logits = np.random.default_rng(0).normal(size=(5, 20, 20)).astype(np.float32)
expected = postproc.argmax_map(logits, (300, 300), threads=2)
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(postproc.argmax_map(logits, (300, 300), threads=2), expected) else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_has_threads_of_its_own() -> None:
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("given", ["two", "0", "257", "2 "])
def test_a_variable_of_threads_that_is_no_number_of_them_is_refused(given: str) -> None:
    environment = {**os.environ, "SEGRT_THREADS": given}
    asked = [sys.executable, "-c", "import segrt.runtime.postproc"]
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
    said = f"the variable SEGRT_THREADS must be 1 to 256, but is '{given}'; correct it, or unset it for all processors"
    assert done.stderr.strip().splitlines()[-1].endswith(said)
