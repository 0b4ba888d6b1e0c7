"""Exports Ultralytics' checkpoint FILE to ONNX beside it, in a process of its own: `… FILE [HEIGHT WIDTH]`.

The package is imported here alone, for it changes other packages, and its settings are environment variables, which
`ultralytics_checkpoint` sets. What it cannot do is the last line of stderr.
"""

import inspect
import sys
from typing import Any

_NO_CLASS = -100.0  # a logit whose sigmoid is 0 in every precision


def main(file: str, *sides: str) -> str | None:
    """Export; return what is wrong, or None."""
    from ultralytics import YOLO
    from ultralytics.nn import tasks

    if not _reads_networks_alone(tasks):
        return (
            "this version, or its torch, runs what a checkpoint holds when it reads it; `pip install -U ultralytics "
            "torch`, or export it to ONNX yourself and `segrt adopt` that file"
        )
    try:
        tasks.torch_safe_load(file, safe_only=True)
    except TypeError as error:
        return " ".join(str(error).split())
    network: Any = YOLO(file)
    if network.task not in ("segment", "semantic"):
        return f"its task is {network.task!r}, which gives no masks; give a -seg or -sem network"
    if (reason := _prompts(network.model)) is not None:
        return reason
    _give_logits(network.model)
    size = {"imgsz": [int(side) for side in sides]} if sides else {}
    # YOLOE's `predict` lets boxes of all classes compete; where that is part of the graph it must be said now.
    across = {"agnostic_nms": True} if type(network.model.model[-1]).__name__.startswith("YOLOE") else {}
    network.export(format="onnx", simplify=False, dynamic=False, device="cpu", **size, **across)
    return None


def _prompts(network: Any) -> str | None:
    """Prepare a YOLOE, whose classes are prompts; return what is wrong with it, or None.

    Classes are set by `set_classes`, which leaves their embeddings, by fusing these into the head, or by a vocabulary.
    """
    head = network.model[-1]
    if not type(head).__name__.startswith("YOLOE"):
        return None
    if hasattr(head, "lrpc"):
        _filter_proposals(head)
        return None
    embeddings = getattr(network, "pe", None)
    if getattr(head, "is_fused", False) or (embeddings is not None and embeddings.shape[1] == len(network.names)):
        return None
    return (
        f"its head is {type(head).__name__}, whose classes are prompts, and none are set; in Python, "
        "`model = YOLOE(FILE)`, `model.set_classes([NAMES])`, `model.save(FILE)`, and give that, or a -pf network"
    )


def _filter_proposals(head: Any) -> None:
    """Let the exported head of a network without prompts give what is no proposal a score of 0, as `predict` does.

    The package's own export keeps every proposal, among them such as its `predict` drops for the filter's score.
    """
    least = getattr(head, "conf", 0.001)

    def drop(part: Any, inputs: tuple[Any, ...], outputs: tuple[Any, ...]) -> tuple[Any, ...]:
        place, scores, kept = outputs
        if kept is None and part.enabled:
            proposed = part.pf(inputs[0])[:, 0].flatten(1).sigmoid() > least
            scores = scores.masked_fill(~proposed[:, None], _NO_CLASS)
        return place, scores, kept

    for which in ("lrpc", "one2one_lrpc"):
        for part in getattr(head, which, None) or ():
            part.register_forward_hook(drop)


def _give_logits(network: Any) -> None:
    """Let a semantic head of several classes give its logits, as the network's `predict` decides by them.

    The package's export decides in the graph, and that map brought to a picture's size is not what `predict` says.
    """
    head = network.model[-1]
    if type(head).__name__ == "SemanticSegment" and head.nc > 1:
        head.register_forward_pre_hook(lambda part, _inputs: setattr(part, "export", False))


def _reads_networks_alone(tasks: Any) -> bool:
    """Whether the package reads checkpoints, those that its classes open included, by torch's own restricted way.

    Versions before 8.4.67 have a `safe_only` that lets all of torch and of Python's builtins in, and do not know the
    environment variable; later ones read without a restriction where torch is too old for it.
    """
    try:
        from ultralytics.utils import SAFE_LOAD
    except ImportError:
        return False
    has_parameter = "safe_only" in inspect.signature(tasks.torch_safe_load).parameters
    return bool(has_parameter and SAFE_LOAD and getattr(getattr(tasks, "_SafeLoad", None), "SUPPORTED", False))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
