"""Whatever stands in a field of a side file, the file is read, or refused in one line."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from side_file_networks import CONFIG, identity
from test_deployment_files import NORMALIZE, detail, pipeline

from segrt.export.adopt.conventions.exporters import read_convention
from segrt.export.graph.editing import Graph, read_graph
from segrt.runtime.errors import SegrtError

STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 65536, 10**30, 0.5, 1e308, -1e308, "", "yes", "1", "ü"),
    *([], [0], [1, 2], [0.5] * 3, ["a"] * 3, [10**30] * 2, [[1]], {}, {"height": -1}, {"a": {"b": [1]}}),
    *({"height": 10**30, "width": 2}, {"shortest_edge": 0}, {"longest_edge": 65536, "shortest_edge": 65536}),
)
PROCESSOR = {
    "image_processor_type": "Mask2FormerImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": 80, "longest_edge": 133},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
    "size_divisor": 32,
    "do_pad": True,
    "pad_size": {"height": 64, "width": 96},
    "do_center_crop": False,
    "crop_size": {"height": 64, "width": 96},
}
STEPS = pipeline(
    {"type": "Resize", "keep_ratio": True, "size": [96, 64]},
    {**NORMALIZE},
    {"type": "Pad", "size_divisor": 32, "pad_val": {"img": [114, 114, 114]}},
    params={"mask_thr_binary": 0.5, "score_thr": 0.05},
)
DEPLOY = {
    "Deploy": {
        "transforms": [
            {"type": "Resize", "target_size": [96, 64], "interp": "LINEAR", "keep_ratio": False},
            {"type": "Padding", "target_size": [96, 64], "im_padding_value": 127.5},
            {"type": "ResizeByShort", "short_size": 64},
            {"type": "Normalize", "mean": [0.5] * 3, "std": [0.5] * 3},
        ]
    }
}
TIMM = {"pretrained_cfg": {"input_size": [3, 64, 96], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0}}
DETAIL = detail("InstanceSegmentation", export_postprocess_mask=True)
FILES: dict[str, dict[str, Any]] = {
    "transformers": {"config.json": CONFIG, "preprocessor_config.json": PROCESSOR},
    "mmdeploy": {"pipeline.json": STEPS, "detail.json": DETAIL, "deploy.json": {"models": [{"net": "model.onnx"}]}},
    "paddleseg": {"deploy.yaml": DEPLOY},  # JSON is YAML
    "timm": {"config.json": TIMM},
}


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container and key within a value, in order."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from places(value[key])


def messages(network: Graph) -> list[str]:
    """What is said of the files beside the network: a refusal, or the problems in them."""
    try:
        return [str(problem) for problem in read_convention(network).problems]
    except SegrtError as refused:
        return [str(refused)]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return read_graph(identity(tmp_path_factory.mktemp("network")))


@pytest.mark.parametrize("toolchain", FILES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=st.integers(0, 10**6), values=st.lists(st.sampled_from(STRANGE), min_size=1, max_size=2))
def test_a_strange_value_is_read_or_refused_in_one_line(
    network: Graph, toolchain: str, choice: int, values: list[Any]
) -> None:
    files = copy.deepcopy(FILES[toolchain])
    for number, value in enumerate(values):
        where = list(places(files))[len(files) :]  # the files themselves stay
        container, key = where[(choice // (number + 1)) % len(where)]
        container[key] = copy.deepcopy(value)
    written = []
    try:
        for name, content in files.items():
            path: Path = network.path.with_name(name)
            path.write_text(json.dumps(content))
            written.append(path)
        said = messages(network)
    finally:
        for path in written:
            path.unlink()
    assert all("\n" not in text and len(text) < 400 for text in said)


@pytest.mark.parametrize("write", [lambda path: path.mkdir(), lambda path: path.write_bytes(b"\xff\xfe{")])
def test_what_is_no_file_or_no_text_is_refused(network: Graph, write: Callable[[Path], Any]) -> None:
    path = network.path.with_name("pipeline.json")
    write(path)
    try:
        said = messages(network)
    finally:
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    assert all("pipeline.json: " in text and "\n" not in text for text in said)
