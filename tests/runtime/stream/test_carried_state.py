"""A network's state goes from frame to frame, begins anew where frames are missing, and numbers what it follows."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from segrt.runtime import open_bundle
from segrt.runtime.bundle.manifest_parsing import parse_manifest
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.errors import BackendError, BundleError, SegrtError
from segrt.runtime.evaluate import evaluate, open_dataset
from segrt.runtime.evaluate.segmenting import BundleOpener
from segrt.runtime.files.images import write_image
from segrt.runtime.preprocess.input_spec import InputSpec
from segrt.runtime.results import InstanceResult
from segrt.runtime.segmenter import Segmenter
from segrt.runtime.stream.carried_state import CarriedState, carrying
from segrt.runtime.stream.frame import Frame

onnx = pytest.importorskip("onnx")
QUERIES = 4


def counting(model: Any) -> Any:
    """`model` with a state of a number for each query, which counts the frames, up to infinity at the sixth."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    graph.input.append(helper.make_tensor_value_info("count", TensorProto.FLOAT, [1, QUERIES, 1]))
    graph.output.append(helper.make_tensor_value_info("next", TensorProto.FLOAT, [1, QUERIES, 1]))
    graph.initializer.append(numpy_helper.from_array(np.array(1, np.float32), "one"))
    graph.initializer.append(numpy_helper.from_array(np.array(4.5, np.float32), "most"))
    graph.initializer.append(numpy_helper.from_array(np.array(np.inf, np.float32), "infinity"))
    graph.node.append(helper.make_node("Add", ["count", "one"], ["more"]))
    graph.node.append(helper.make_node("Greater", ["count", "most"], ["over"]))
    graph.node.append(helper.make_node("Where", ["over", "infinity", "more"], ["next"]))
    onnx.checker.check_model(model)
    return model


@pytest.fixture
def bundle(tiny: SimpleNamespace) -> Path:
    network = tiny.network("query_instances")
    state = InputSpec("count", "float32", (1, QUERIES, 1), role="state", carries="next")
    heads = (*network.heads, HeadSpec("next", "state", "float32", (1, QUERIES, 1)))
    described = replace(network, inputs=(*network.inputs, state), heads=heads)
    folder: Path = tiny.bundle("query_instances", network=described, model=counting(tiny.query_model()))
    return folder


def take(segmenter: CarriedState, frame: Frame) -> tuple[float, InstanceResult]:
    """Run a frame as the stages do; return the state that it was given, and its result."""
    slot = segmenter.backend.acquire()
    try:
        segmenter.begin(frame)
        geometry = segmenter.preprocess(frame.picture, slot)
        given = float(slot.inputs["count"].max())
        segmenter.backend.submit(slot)
        return given, segmenter.postprocess(segmenter.backend.wait(slot), geometry)
    finally:
        segmenter.backend.release(slot)


def carried(segmenter: Segmenter) -> CarriedState:
    wrapped = carrying(segmenter, 1)
    assert isinstance(wrapped, CarriedState)
    return wrapped


def frames(tiny: SimpleNamespace, *times: float | None) -> list[Frame]:
    return [Frame(tiny.thirds(32, 48), index, time, 0.0, "camera") for index, time in enumerate(times)]


def test_each_frame_is_given_what_the_one_before_made(bundle: Path, tiny: SimpleNamespace) -> None:
    with open_bundle(bundle, threads=1) as segmenter:
        assert segmenter.backend.slots == 1
        alone = segmenter(tiny.thirds(32, 48))
        assert isinstance(alone, InstanceResult)
        assert alone.track_ids is None
        done = [take(carried(segmenter), frame) for frame in frames(tiny, 0.0)]
        wrapped = carried(segmenter)
        done += [take(wrapped, frame) for frame in frames(tiny, 0.0, 0.1, 0.2)]
    assert [given for given, _ in done] == [0, 0, 1, 2]
    for _, result in done:
        assert result.track_ids is not None
        np.testing.assert_array_equal(result.class_ids, alone.class_ids)
        np.testing.assert_array_equal(result.scores, alone.scores)
        np.testing.assert_array_equal(result.track_ids, result.class_ids + 1)  # query i is of class i
        assert [entry["counts"] for entry in result.rles] == [entry["counts"] for entry in alone.rles]


def test_tiles_carry_nothing(bundle: Path) -> None:
    with pytest.raises(BackendError, match=r"--tile: input 'count' is carried from frame to frame.*; leave it out"):
        open_bundle(bundle, tile="40x60")


@pytest.mark.parametrize(
    ("times", "given"),
    [
        ((0.0, 0.04, 3.0, 3.04), [0, 1, 0, 1]),  # a camera that was away
        ((8.0, 8.04, 0.0, 0.04), [0, 1, 0, 1]),  # a file that begins again
        ((None, None, None), [0, 1, 2]),  # pictures without a time
    ],
)
def test_missing_frames_begin_anew(
    times: tuple[float | None, ...], given: list[int], bundle: Path, tiny: SimpleNamespace
) -> None:
    with open_bundle(bundle, threads=1) as segmenter:
        wrapped = carried(segmenter)
        done = [take(wrapped, frame) for frame in frames(tiny, *times)]
    assert [state for state, _ in done] == given
    last, first = done[-1][1].track_ids, done[0][1].track_ids
    assert first is not None
    assert last is not None
    begun = given.count(0) - 1
    np.testing.assert_array_equal(last, first + QUERIES * begun)


def test_a_state_that_is_no_number_is_not_carried(bundle: Path, tiny: SimpleNamespace) -> None:
    with open_bundle(bundle, threads=1) as segmenter:
        wrapped = carried(segmenter)
        given = [take(wrapped, frame)[0] for frame in frames(tiny, *([None] * 8))]
    assert given == [0, 1, 2, 3, 4, 5, 0, 1]


class _Deep(Frame):
    """A frame of 16-bit values, of which the network is given the upper eight bits."""

    @property
    def picture(self) -> Any:
        return (self.image >> 8).astype(np.uint8)


def test_cuts_are_looked_for_in_what_is_visible(bundle: Path, tiny: SimpleNamespace) -> None:
    deep = tiny.thirds(32, 48).astype(np.uint16) << 8
    images = [deep, deep + 200, 65535 - deep]  # less than a level of eight bits, then another scene
    with open_bundle(bundle, threads=1) as segmenter:
        wrapped = carried(segmenter)
        done = [take(wrapped, _Deep(image, place, None, 0.0, "camera")) for place, image in enumerate(images)]
    assert [given for given, _ in done] == [0, 1, 0]


def test_a_query_is_one_object_and_there_are_top_k_of_them(bundle: Path, tiny: SimpleNamespace) -> None:
    """At a low threshold a query has several classes; the best is its own."""
    with open_bundle(bundle, threads=1, score_threshold=1e-9) as segmenter:
        alone = segmenter(tiny.thirds(32, 48))
        ((_, every),) = (take(carried(segmenter), frame) for frame in frames(tiny, 0.0))
    assert isinstance(alone, InstanceResult)
    assert every.track_ids is not None
    assert len(alone) > QUERIES, "a query has several classes"
    assert len(set(every.track_ids.tolist())) == len(every) <= QUERIES
    best = np.argsort(-every.scores, kind="stable")
    np.testing.assert_array_equal(best, np.arange(len(every)))
    assert every.scores[0] == alone.scores[0]
    content = json.loads((bundle / "manifest.json").read_bytes())
    content["decode"]["top_k"] = 2
    (bundle / "manifest.json").write_text(json.dumps(content))
    with open_bundle(bundle, threads=1, score_threshold=1e-9) as segmenter:
        ((_, few),) = (take(carried(segmenter), frame) for frame in frames(tiny, 0.0))
    assert few.track_ids is not None
    np.testing.assert_array_equal(few.track_ids, every.track_ids[:2])


def test_a_stream_carries_it(bundle: Path, tiny: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for index in range(3):
        write_image(tmp_path / "pictures" / f"{index}.png", tiny.thirds(32, 48))
    with open_bundle(bundle, threads=1) as segmenter:
        results = [result for _, result in segmenter.stream(tmp_path / "pictures")]
    ids = [sorted(map(int, result.track_ids)) for result in results if isinstance(result, InstanceResult)]
    assert ids == [[1, 2, 3]] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"carries": "nothing"}, "input 'count' carries head 'nothing', which must be of floats .* but there is none"),
        ({"carries": "masks"}, r"carries head 'masks', which must be of floats \[1, 4, 1\], but it is float32"),
        ({"carries": None}, "input 'count' must have role state or embedding and the head that it carries, or neither"),
        (
            {"role": "valid_mask"},
            "input 'count' must have role state or embedding and the head that it carries, or neither",
        ),
        ({"dtype": "float16"}, r"input 'count' of role state must be float32 \[1, …\], but got float16"),
        ({"shape": ["N", 4, 1]}, r"of role state must be float32 \[1, …\], but got float32 \['N', 4, 1\]"),
    ],
)
def test_contradictions_are_named(change: dict[str, Any], message: str, bundle: Path) -> None:
    content = json.loads((bundle / "manifest.json").read_bytes())
    content["inputs"][1] = {name: value for name, value in (content["inputs"][1] | change).items() if value is not None}
    with pytest.raises(BundleError, match=message):
        parse_manifest(json.dumps(content).encode(), "manifest.json")


def test_older_readers_are_told_and_other_rules_refused(bundle: Path) -> None:
    content = json.loads((bundle / "manifest.json").read_bytes())
    assert "state" in content["required_features"]
    with pytest.raises(BundleError, match="must name 'state' in required_features"):
        parse_manifest(json.dumps(content | {"required_features": []}).encode(), "manifest.json")
    varying = {"shape": [1, "Q", QUERIES]}
    heads = [head | varying if head["role"] == "class_logits" else head for head in content["heads"]]
    with pytest.raises(BundleError, match="needs a fixed number of queries, but head 'classes' has 'Q'"):
        parse_manifest(json.dumps(content | {"heads": heads}).encode(), "manifest.json")
    content["decode"]["activation"] = "sigmoid"
    with pytest.raises(BundleError, match="needs the rule query_instances with softmax"):
        parse_manifest(json.dumps(content).encode(), "manifest.json")


def test_clips_are_not_evaluated_frame_by_frame(bundle: Path) -> None:
    clips = open_dataset("street://?clips=1&seed=5&frames=2&width=96&height=64&fps=4")
    with open_bundle(bundle, threads=1) as segmenter, pytest.raises(SegrtError, match="the bundle: carries a state"):
        evaluate(segmenter, clips)
    with pytest.raises(SegrtError, match=r"^mine: carries a state .*; give a data set of pictures"):
        BundleOpener(str(bundle), "mine", tracked=True)().__enter__()
    with BundleOpener(str(bundle), "mine")() as predictor:
        assert predictor.technique == "instance"
