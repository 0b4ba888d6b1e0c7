"""Where the system gives fewer threads than are wanted there are fewer, with the same results; too few is one line.

A limit of processes does not hold for root, so a library that is preloaded plays it.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from segrt.runtime.threads import threads_to_be_had

CC = shutil.which("cc")
pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(CC is None or not sys.platform.startswith("linux"), reason="needs a C compiler and LD_PRELOAD"),
]
BEGIN = """
import ctypes, json, sys
more = ctypes.c_int.in_dll(ctypes.CDLL(sys.argv[1]), "few_threads_more")
import cv2, numpy as np, onnxruntime
"""


@pytest.fixture(scope="module")
def limiter(tmp_path_factory):
    library = tmp_path_factory.mktemp("limiter") / "few_threads.so"
    source = Path(__file__).with_name("few_threads.c")
    subprocess.run([CC, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


def limited(library, code, *arguments):
    """Run `code` with the library that lets it set `more.value`, the number of threads beyond those that live."""
    command = [sys.executable, "-c", BEGIN + code, library, *map(str, arguments)]
    return subprocess.run(
        command, env=os.environ | {"LD_PRELOAD": str(library)}, capture_output=True, text=True, timeout=100, check=False
    )


def test_all_wanted_threads_are_counted_where_there_is_no_limit():
    assert [threads_to_be_had(wanted) for wanted in (1, 2, 5)] == [1, 2, 5]


def test_what_a_limit_leaves_is_counted_and_given_back(limiter):
    code = """
import time
from segrt.runtime.threads import threads_to_be_had
counts = []
for left in (0, 1, 16, 17, 19, 100):
    more.value = left
    count, end = threads_to_be_had(4), time.monotonic() + 5
    while more.value < left and time.monotonic() < end:  # the last one has still to leave
        time.sleep(0.001)
    counts.append((count, more.value))
print(json.dumps(counts))
"""
    done = limited(limiter, code)
    assert json.loads(done.stdout) == [[1, 0], [1, 1], [1, 16], [2, 17], [4, 19], [4, 100]], done.stderr


def test_the_core_works_with_whatever_threads_there_are(limiter):
    code = """
from segrt.runtime import postproc
logits = np.random.default_rng(0).normal(size=(19, 60, 80)).astype(np.float32)
seen = []
for left in (0, 1, 3, 1000):
    more.value = left
    seen.append(int(postproc.argmax_map(logits, (480, 640), threads=8).astype(np.int64).sum()))
    seen.append(more.value)
print(json.dumps(seen))
"""
    done = limited(limiter, code)
    assert done.returncode == 0, done.stderr
    sums, left = (json.loads(done.stdout)[first::2] for first in (0, 1))
    assert len(set(sums)) == 1
    assert left[:3] == [0, 0, 0], "the threads that there are are used"


def test_a_picture_is_segmented_with_whatever_threads_there_are(limiter):
    code = """
from segrt.runtime import open_bundle
from segrt.runtime.streetworld import StreetWorld
picture = StreetWorld(1).render(0.0, (192, 320)).image
seen = []
for left in (1000, 18, 3, 1, 0):
    more.value = left
    with open_bundle("street-panoptic", threads=4) as segmenter:
        slot = segmenter.backend.acquire()
        geometry = segmenter.preprocess(picture, slot)
        segmenter.backend.submit(slot)
        result = segmenter.postprocess(segmenter.backend.wait(slot), geometry)
        segmenter.backend.release(slot)
    seen.append((int(result.segment_ids.astype(np.int64).sum()), len(result.segments)))
print(json.dumps(seen))
"""
    done = limited(limiter, code)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert len(seen) == 5
    assert seen[0][1] > 3
    assert seen[1:] == seen[:1] * 4


def test_a_stream_that_gets_its_stages_alone_is_written_whole(limiter, tmp_path):
    code = """
from segrt.runtime.cli import main
more.value = int(sys.argv[2])
sys.argv = ["segrt", *sys.argv[3:]]
main()
"""
    street = [
        "stream",
        "street-semantic",
        "street://?seed=1&fps=20&width=128&height=96",
        "--max-frames",
        "5",
        "--policy",
        "all",
    ]
    done = limited(limiter, code, 9, *street, "--sink", tmp_path / "a.mp4", "--sink", tmp_path / "a.jsonl")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.jsonl").read_bytes().count(b"\n") == 5
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("left", [0, 3, 6])
def test_a_stream_that_does_not_get_its_stages_ends_with_one_line(limiter, tmp_path, left):
    code = """
from segrt.runtime.cli import main
more.value = int(sys.argv[2])
sys.argv = ["segrt", *sys.argv[3:]]
main()
"""
    street = ["stream", "street-semantic", "street://?seed=1&fps=20&width=128&height=96", "--max-frames", "5"]
    done = limited(limiter, code, left, *street, "--sink", tmp_path / "a.mp4", "--sink", tmp_path / "a.jsonl")
    assert done.returncode == 2, done.stderr
    assert "the system gives no more threads; raise the limit of processes" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
