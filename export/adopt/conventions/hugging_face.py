"""Hugging Face: `config.json` and the image processor's file beside the network, or one folder above `onnx/`."""

from collections.abc import Mapping
from typing import Any

from segrt.export.adopt.conventions.convention import Convention
from segrt.export.adopt.conventions.image_processors import read_processor
from segrt.export.adopt.conventions.side_files import find, is_class_id, read_json
from segrt.export.graph.editing import Graph
from segrt.runtime.decode.merge_queries import MergeRule
from segrt.runtime.decode.query_instances import QueryInstances
from segrt.runtime.decode.query_semantic import QuerySemantic
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.errors import SegrtError
from segrt.runtime.results.technique import Technique

# Whose class logits have a last column for "no object": their processors take a softmax.
_WITH_NO_OBJECT = ("detr", "eomt", "eomt_dinov3", "mask2former", "maskformer", "oneformer")
# How their post-processing merges, and where it enlarges masks and adds up scores first.
_POST_PROCESSING: Mapping[str, tuple[MergeRule, Mapping[str, DecodeRule]]] = {
    "mask2former": (
        "mask2former",
        {
            "query_instances": QueryInstances(processed_size=(384, 384), score_at="processed"),
            "query_semantic": QuerySemantic((384, 384)),
        },
    ),
    "oneformer": ("maskformer", {"query_instances": QueryInstances(processed_size="network", score_at="picture")}),
    **dict.fromkeys(
        ("eomt", "eomt_dinov3"),
        (
            "eomt",
            {
                "query_instances": QueryInstances(processed_size="network", score_at="picture"),
                "query_semantic": QuerySemantic("network"),
            },
        ),
    ),
}
# What transformers' classes are for, behind "For".
_OTHER_TASKS = (
    "DepthEstimation",
    "ImageClassification",
    "ObjectDetection",
    "MaskedImageModeling",
    "KeypointDetection",
    "KeypointMatching",
    "ImageSuperResolution",
    "VideoClassification",
    "PoseEstimation",
)


def hugging_face(graph: Graph) -> Convention | None:
    """Return what transformers' files say; None where there are none.

    Which technique a universal network was trained for, its name alone tells.
    """
    path = find(graph.path, "config.json")
    config = read_json(path) if path is not None else {}
    architectures, labels = config.get("architectures"), config.get("id2label")
    if path is None or not isinstance(architectures, list) or not isinstance(labels, dict):
        return None
    architecture = str((architectures or ["unknown"])[0])
    other = next((task for task in _OTHER_TASKS if f"For{task}" in architecture), None)
    if other is not None:
        raise SegrtError(f"{path}: its architecture {architecture} does no segmentation; give a network that does")
    names = _names(labels, str(path))
    model_type = str(config.get("model_type", ""))
    where = "config.json" if path.parent == graph.path.parent else "config.json, one folder up,"
    notes = [f"{where} says: {architecture}, {len(names)} classes"]
    preparation = read_processor(graph.path, model_type)
    if preparation.source is not None:
        notes.append(f"{preparation.source} says how pictures are resized and normalised")
    merge_rule, rules = _POST_PROCESSING.get(model_type, ("maskformer", {}))
    return Convention(
        "optimum",
        _technique(architecture, config),
        names,
        preparation.size,
        "bgr" if preparation.flips else None,
        preparation.normalisation,
        preparation.resize,
        merge_rule,
        rules,
        activation="softmax" if model_type in _WITH_NO_OBJECT else None,
        is_read=preparation.source is not None,
        problems=preparation.problems,
        notes=notes,
    )


def _technique(architecture: str, config: Mapping[str, Any]) -> Technique | None:
    known = f"{architecture} {config.get('_name_or_path', '')}".lower()
    if "SemanticSegmentation" in architecture or "semantic" in known:
        return "semantic"
    if architecture == "DetrForSegmentation" or "panoptic" in known:
        return "panoptic"
    if "RfDetr" in architecture or "instance" in known.replace("forinstancesegmentation", ""):
        return "instance"
    return None


def _names(labels: Mapping[str, Any], where: str) -> dict[int, str]:
    numbers = {index: int(index) for index in labels if index.isascii() and index.isdigit() and len(index) < 9}
    if len(numbers) < len(labels) or not all(map(is_class_id, numbers.values())):
        raise SegrtError(
            f"{where}: its id2label must have whole numbers as keys, but has {', '.join(labels)[:60]}; mend it"
        )
    return {number: str(labels[index]) for index, number in numbers.items()}
