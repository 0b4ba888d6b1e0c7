"""Panoptic-DeepLab's heads become segments at source size, wherever the picture lies in the network's input."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper
from reference import slow_centers, slow_class_maps, slow_resize

from segrt.export.bundling import GoldenPicture, Network, VariantFile, write_bundle
from segrt.runtime import open_bundle
from segrt.runtime.authoring.verification import verify
from segrt.runtime.bundle.manifest import Source
from segrt.runtime.bundle.manifest_parsing import parse_manifest
from segrt.runtime.decode.group_centers import GroupCenters, group_centers, to_source
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.decode.rule import Context
from segrt.runtime.errors import BundleError
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import InputSpec, Resize
from segrt.runtime.preprocess.picture import place
from segrt.runtime.results import Label, PanopticResult

LABELS = (
    Label("road", 7, False, (128, 64, 128)),
    Label("sky", 23, False, (70, 130, 180)),
    Label("car", 26, True, (0, 0, 142)),
    Label("person", 24, True, (220, 20, 60)),
)
NETWORK = (128, 192)
DISCS = ((9.45, 10.55, 6.0, 2), (20.55, 30.45, 8.0, 3), (10.45, 40.45, 5.0, 2))  # row, column, radius in cells; class


def discs(noise: float) -> dict[str, np.ndarray]:
    """Heads on a grid of 32x48 cells: three round things on road and sky."""
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[:32, :48].astype(np.float32) + 0.5
    logits = np.stack([rows > 16, rows <= 16, rows < 0, rows < 0]).astype(np.float32) * 4
    heat, offsets = np.zeros((32, 48), np.float32), np.zeros((2, 32, 48), np.float32)
    for row, column, radius, class_id in DISCS:
        distance = np.hypot(rows - row, columns - column)
        logits[class_id] += 8 * (distance < radius)
        heat = np.maximum(heat, np.exp(-((distance / 2) ** 2)))
        offsets[:, distance < radius] = np.stack([row - rows, column - columns])[:, distance < radius]
    logits += rng.normal(0, 0.3, logits.shape).astype(np.float32)
    offsets += rng.normal(0, noise, offsets.shape).astype(np.float32)
    return {"semantic_logits": logits, "center_heatmap": heat[None].astype(np.float32), "offsets": offsets}


def places(source: tuple[int, int]) -> list[Geometry]:
    rules = (Resize(), Resize("letterbox"), Resize("letterbox", pad_side="bottom_right"))
    return [place(source, NETWORK, rule) for rule in rules]


@pytest.mark.parametrize("source", [NETWORK, (96, 160), (300, 200)])
def test_segments_are_those_of_the_described_arithmetic(source: tuple[int, int]) -> None:
    heads, rule = discs(noise=0.7), GroupCenters(stuff_area_limit=300, nms_kernel=9)
    for geometry in places(source):
        top, left, bottom, right = (int(edge) for edge in geometry.window)

        def full(stack: np.ndarray, window: tuple[slice, slice], target: tuple[int, int]) -> np.ndarray:
            return slow_resize.resize(slow_resize.resize(stack, NETWORK)[:, window[0], window[1]], target)

        window = (slice(top, bottom), slice(left, right))
        classes = slow_class_maps.argmax_map(heads["semantic_logits"], source, geometry.window_on((32, 48)))
        heat = full(heads["center_heatmap"], window, source)[0]
        steps = np.array([source[0] / (bottom - top), source[1] / (right - left)], np.float32)
        offsets = full(heads["offsets"] * 4, window, source) * steps[:, None, None]
        ids, wanted = slow_centers.group_centers(
            classes, heat, offsets, thing_classes=(2, 3), threshold=0.1, nms_kernel=9, stuff_area_limit=300
        )
        result = group_centers(heads, geometry, Context(rule, LABELS))
        assert isinstance(result, PanopticResult)
        assert [segment.class_id for segment in result.segments] == wanted
        assert len(wanted) >= 3  # a part of the discs lies on the padding of a narrow picture
        assert np.mean(result.segment_ids == ids) > 0.9995  # the last bit of an interpolated offset
        half = {role: head.astype(np.float16) for role, head in heads.items()}
        again = group_centers(half, geometry, Context(rule, LABELS))
        assert np.mean(again.segment_ids == result.segment_ids) > 0.99  # type: ignore[union-attr]


def test_things_lie_where_they_were_drawn_in_a_larger_source() -> None:
    geometry = place((768, 1152), NETWORK, Resize())
    result = group_centers(discs(noise=0.0), geometry, Context(GroupCenters(nms_kernel=61), LABELS))
    assert isinstance(result, PanopticResult)
    things = {segment.bbox: segment for segment in result.segments if segment.isthing}
    assert len(things) == 3
    for row, column, radius, class_id in DISCS:
        segment = next(segment for segment in things.values() if _inside(segment.bbox, row * 24, column * 24))
        assert segment.class_id == class_id
        assert segment.area == pytest.approx(np.pi * (radius * 24) ** 2, rel=0.1)
        assert 0.9 < segment.score <= 1


def _inside(bbox: tuple[int, int, int, int], y: float, x: float) -> bool:
    return bbox[0] < x < bbox[0] + bbox[2] and bbox[1] < y < bbox[1] + bbox[3]


def test_a_head_is_interpolated_as_torch_does() -> None:
    rng = np.random.default_rng(3)
    head = rng.normal(size=(2, 32, 48)).astype(np.float32)
    for geometry in places((97, 205)):
        top, left, bottom, right = (int(edge) for edge in geometry.window)
        expected = slow_resize.resize(slow_resize.resize(head, NETWORK)[:, top:bottom, left:right], (97, 205))
        np.testing.assert_allclose(to_source(head, geometry), expected, atol=2e-5)


def center_bundle(tiny: SimpleNamespace, tmp_path: Path, rule: GroupCenters) -> Path:
    """A network whose logits are the brightness of red, green and blue, with one centre in the middle."""
    heat, offsets = np.zeros((1, 1, 8, 12), np.float32), np.zeros((1, 2, 8, 12), np.float32)
    heat[0, 0, 3:6, 5:8] = [[0.1, 0.2, 0.1], [0.2, 1, 0.3], [0.1, 0.3, 0.1]]
    constants = {"heat": heat, "steps": offsets}
    model = tiny.semantic_model()
    for name, value in constants.items():
        model.graph.initializer.append(helper.make_tensor(name, TensorProto.FLOAT, value.shape, value.ravel()))
        model.graph.node.append(helper.make_node("Identity", [name], [f"{name}_out"]))
        model.graph.output.append(helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, value.shape))
    heads = (
        HeadSpec("logits", "semantic_logits", "float32", (1, 3, 8, 12)),
        HeadSpec("heat_out", "center_heatmap", "float32", heat.shape),
        HeadSpec("steps_out", "offsets", "float32", offsets.shape),
    )
    image = InputSpec("image", "uint8", (1, 32, 48, 3))
    network = Network("centers", "panoptic", "tiny", Source("none", "none"), (image,), heads, tiny.labels, rule)
    golden = [GoldenPicture("thirds", tiny.thirds(24, 48))]
    return write_bundle(tmp_path / "centers", network, [VariantFile("fp32", tiny.save(model))], golden, threads=1)


def test_a_bundle_of_this_rule_opens_and_verifies(tiny: SimpleNamespace, tmp_path: Path) -> None:
    folder = center_bundle(tiny, tmp_path, GroupCenters(stuff_area_limit=50))
    with open_bundle(folder, threads=1) as segmenter:
        checks = verify(segmenter)
        assert [check.what for check in checks] == ["logits", "heat_out", "steps_out", "result"]
        assert all(check.passed for check in checks)
        result = segmenter(tiny.thirds(96, 144))
    assert isinstance(result, PanopticResult)
    # Red is stuff; green and blue are things, but there is one centre, so they are one instance.
    assert sorted((segment.class_id, segment.isthing) for segment in result.segments) == [(0, False), (1, True)]
    with open_bundle(folder, threads=1, score_threshold=1.0) as segmenter:
        result = segmenter(tiny.thirds(96, 144))
    assert isinstance(result, PanopticResult)
    assert [segment.class_id for segment in result.segments] == [0]


def test_contradictions_are_named(tiny: SimpleNamespace, tmp_path: Path) -> None:
    data = (center_bundle(tiny, tmp_path, GroupCenters()) / "manifest.json").read_bytes()
    with pytest.raises(BundleError, match="nms_kernel must be odd, but got 6"):
        parse_manifest(data.replace(b'"nms_kernel": 7', b'"nms_kernel": 6'), "m")
    with pytest.raises(BundleError, match="'steps_out' of role offsets must have 2 channels"):
        parse_manifest(re.sub(rb"\[\s*1,\s*2,\s*8,\s*12\s*\]", b"[1, 3, 8, 12]", data), "m")
