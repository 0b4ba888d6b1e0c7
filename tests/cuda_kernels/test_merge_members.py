"""A semantic and an instance network merged from heads that lie on the GPU, each in its own queue."""

import numpy as np
import pytest
from emulated_cuda import EmulatedCuda, emulated_kernels
from hypothesis import given
from hypothesis import strategies as st
from programs import EmulatedQueue, decode_on_cpu, labels, on_device

from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.cuda.argmax import ArgmaxProgram
from segrt.runtime.decode.cuda.merge_members import MergeMembersProgram
from segrt.runtime.decode.cuda.program import UnfitHeadsError
from segrt.runtime.decode.cuda.workspace import Workspace
from segrt.runtime.decode.decoders import PROGRAMS
from segrt.runtime.decode.merge_members import MergeMembers
from segrt.runtime.decode.paste_masks import PasteMasks
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.rule import Context, MemberRule
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.member_inputs import MemberGeometry

LABELS = labels("sstt")
SEMANTIC = MemberRule("semantic", Argmax(), labels("stst"), (0, 2, 1, 3))


def instance_heads(random, rule, count=6):
    if isinstance(rule, QueryInstances):
        return {
            "class_logits": random.normal(0, 3, (count, 4)).astype(np.float32),
            "mask_logits": random.normal(0, 2, (count, 8, 12)).astype(np.float32),
        }
    corners = np.sort(random.uniform(0, 40, (count, 2, 2)), axis=1)
    return {
        "boxes": corners.reshape(count, 4).astype(np.float32),
        "scores": random.choice([0.2, 0.5, 0.7, np.nan], count).astype(np.float32),
        "class_ids": random.integers(0, 3, count),
        "masks": random.random((count, 7, 7)).astype(np.float32),
    }


def run(heads, geometry, context, order=0):
    """Return the result of the second of two frames, and what ran in each member's queue."""
    cuda = EmulatedCuda(order=order)
    queues = {member.name: EmulatedQueue(cuda) for member in context.members}
    there = {role: on_device(queues[role.partition(".")[0]], head) for role, head in heads.items()}
    workspace = Workspace(next(iter(queues.values())), emulated_kernels(cuda))
    program = MergeMembersProgram(there, geometry, context, workspace)
    for _ in range(2):
        program.enqueue()
        program.download()
        queued = {name: [what for what, _ in queue.stream.queue] for name, queue in queues.items()}
        for queue in queues.values():
            queue.synchronize()
    result = program.result()
    workspace.close()
    assert cuda.alive == len(heads) + len(queues)
    return result, queued


@given(
    rule=st.sampled_from([PasteMasks(), QueryInstances()]),
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    window=st.sampled_from([(0, 0, 64, 48), (3, 0, 60, 48), (0, 8, 64, 40)]),
    thresholds=st.tuples(st.sampled_from([0.1, 0.5]), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0, 1, 40])),
    half=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    order=st.integers(0, 3),
)
def test_equals_the_cpu_bit_for_bit(rule, size, window, thresholds, half, seed, order):
    random = np.random.default_rng(seed)
    instance = MemberRule("instance", rule, labels("ttt"), (2, -1, 3))
    logits = random.normal(size=(4, 9, 7)).astype(np.float16 if half else np.float32)
    heads = {"semantic.semantic_logits": logits}
    heads |= {f"instance.{role}": head for role, head in instance_heads(random, rule).items()}
    first, second = Geometry(size, (64, 48), window), Geometry(size, (32, 48), (0, 0, 30, 48))
    geometry = MemberGeometry(size, (64, 48), window, {"semantic": first, "instance": second})
    score, overlap, area = thresholds
    merge = MergeMembers(score_threshold=score, overlap_threshold=overlap, stuff_area_limit=area)
    context = Context(merge, LABELS, 1, (SEMANTIC, instance))
    want = decode_on_cpu(heads, geometry, context)
    got, queued = run(heads, geometry, context, order)
    assert got.segments == want.segments
    np.testing.assert_array_equal(got.segment_ids, want.segment_ids)
    assert got.nonfinite_heads == want.nonfinite_heads
    assert "kernel" in queued["semantic"]
    assert "download" in queued["instance"]


def test_a_member_whose_heads_do_not_fit_decodes_on_the_cpu(monkeypatch: pytest.MonkeyPatch):
    class Choosy(ArgmaxProgram):
        def __init__(self, heads, geometry, context, workspace):
            super().__init__(heads, geometry, context, workspace)
            raise UnfitHeadsError("these heads")

    monkeypatch.setitem(PROGRAMS._entries, "argmax", Choosy)
    random = np.random.default_rng(0)
    instance = MemberRule("instance", PasteMasks(), labels("ttt"), (2, -1, 3))
    heads = {"semantic.semantic_logits": random.normal(size=(4, 9, 7)).astype(np.float32)}
    heads |= {f"instance.{role}": head for role, head in instance_heads(random, instance.decode).items()}
    place = Geometry((40, 50), (64, 48), (0, 0, 64, 48))
    geometry = MemberGeometry((40, 50), (64, 48), place.window, {"semantic": place, "instance": place})
    context = Context(MergeMembers(stuff_area_limit=1), LABELS, 1, (SEMANTIC, instance))
    want = decode_on_cpu(heads, geometry, context)
    got, queued = run(heads, geometry, context)
    assert "kernel" not in queued["semantic"]
    np.testing.assert_array_equal(got.segment_ids, want.segment_ids)
