"""Adopted query networks of transformers give their own processors' results on identical heads, near thresholds too."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from constant_networks import HEIGHT, WIDTH, constant_model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from segrt.runtime.decode.merge_queries import MergeQueries  # noqa: E402
from segrt.runtime.decode.query_instances import QueryInstances  # noqa: E402
from segrt.runtime.decode.query_semantic import QuerySemantic  # noqa: E402
from segrt.runtime.results import InstanceResult, SemanticResult  # noqa: E402

Adopt = Callable[..., Any]
NAMES = {"0": "person", "1": "car", "2": "dog"}
THRESHOLD = 0.4
SIZE = {"height": HEIGHT, "width": WIDTH}
EDGES = {"shortest_edge": HEIGHT, "longest_edge": WIDTH}
PROCESSORS: dict[str, Any] = {
    "mask2former": transformers.Mask2FormerImageProcessor,
    "oneformer": transformers.OneFormerImageProcessor,
    "eomt": transformers.EomtImageProcessor,
    "eomt_dinov3": transformers.EomtImageProcessor,
}


def heads() -> tuple[np.ndarray, np.ndarray]:
    """Class logits whose scores lie about the threshold, and masks of soft blobs, whose means depend on the size."""
    rng = np.random.default_rng(5)
    classes = rng.normal(0, 1.2, (1, 30, 4)).astype(np.float32)
    rows, columns = np.mgrid[:16, :24]
    at = rng.uniform((2, 2), (14, 22), (30, 2))[:, :, None, None]
    spread = rng.uniform(1.5, 4, (30, 1, 1))
    masks = 3 - ((rows - at[:, 0]) ** 2 + (columns - at[:, 1]) ** 2) / spread**2
    return classes, masks[None].astype(np.float32)


def written(folder: Path, model_type: str, task: str) -> Any:
    """Write the files of a checkpoint for `task` beside the network, and return the network."""
    config = {
        "architectures": ["SomethingForUniversalSegmentation"],
        "model_type": model_type,
        "_name_or_path": f"somebody/{model_type}-{task}",
        "id2label": NAMES,
    }
    (folder / "config.json").write_text(json.dumps(config))
    resized = {"size": SIZE, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(resized))
    classes, masks = heads()
    return constant_model({"class_queries_logits": classes, "masks_queries_logits": masks}, name="pixel_values")


def outputs() -> Any:
    """The heads as transformers' post-processing takes them."""
    classes, masks = (torch.from_numpy(head) for head in heads())
    return SimpleNamespace(class_queries_logits=classes, masks_queries_logits=masks, patch_offsets=None)


@pytest.mark.parametrize("model_type", PROCESSORS)
def test_segments_are_merged_by_the_networks_own_rule(adopt_and_run: Adopt, tmp_path: Path, model_type: str) -> None:
    manifest, _, _ = adopt_and_run(written(tmp_path, model_type, "panoptic"))
    own = {"oneformer": "maskformer", "eomt_dinov3": "eomt"}.get(model_type, model_type)
    assert manifest.decode == MergeQueries(own)


def test_oneformer_s_objects_are_scored_as_its_authors_do(adopt_and_run: Adopt, tmp_path: Path) -> None:
    """Its processor in transformers merges objects as panoptic segments; the export's rule is the authors' own."""
    manifest, _, _ = adopt_and_run(written(tmp_path, "oneformer", "instance"))
    assert manifest.decode == QueryInstances(processed_size="network", score_at="picture")


@pytest.mark.parametrize("model_type", [name for name in PROCESSORS if name != "oneformer"])
def test_objects_have_the_scores_of_the_networks_own_processor(
    adopt_and_run: Adopt, tmp_path: Path, model_type: str
) -> None:
    manifest, _, result = adopt_and_run(written(tmp_path, model_type, "instance"), score_threshold=THRESHOLD)
    assert isinstance(manifest.decode, QueryInstances)
    assert isinstance(result, InstanceResult)
    more = {"size": EDGES} if model_type.startswith("eomt") else {}
    processor = PROCESSORS[model_type]()
    asked = processor.post_process_instance_segmentation
    found = asked(outputs(), target_sizes=[(HEIGHT, WIDTH)], threshold=THRESHOLD, **more)[0]["segments_info"]
    theirs = sorted((round(one["score"], 5), one["label_id"]) for one in found)
    ours = sorted(
        (round(float(score), 5), int(index)) for score, index in zip(result.scores, result.class_ids, strict=True)
    )
    assert len(ours) >= 5
    assert [index for _, index in ours] == [index for _, index in theirs]
    np.testing.assert_allclose([score for score, _ in ours], [score for score, _ in theirs], atol=1e-4)


@pytest.mark.parametrize("model_type", PROCESSORS)
def test_class_maps_are_those_of_the_networks_own_processor(
    adopt_and_run: Adopt, tmp_path: Path, model_type: str
) -> None:
    manifest, _, result = adopt_and_run(written(tmp_path, model_type, "semantic"))
    assert isinstance(manifest.decode, QuerySemantic)
    assert isinstance(result, SemanticResult)
    more = {"size": EDGES} if model_type.startswith("eomt") else {}
    asked = PROCESSORS[model_type]().post_process_semantic_segmentation
    (expected,) = asked(outputs(), target_sizes=[(HEIGHT, WIDTH)], **more)
    assert (result.class_map == expected.numpy()).mean() >= 0.999
    assert len(np.unique(result.class_map)) == 3
