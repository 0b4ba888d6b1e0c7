"""Any semantic network of transformers, as its checkpoint's config.json and preprocessor_config.json describe it."""

from typing import Any

from segrt.export.family import Exportable, Request
from segrt.export.models.auto_semantic.hub_entry import ONE_SIZE
from segrt.export.models.shared import transformers_semantic
from segrt.export.weights import checkpoint_labels, network_weights
from segrt.export.weights.config_file import class_names, made_by_transformers
from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Label
from segrt.runtime.results.labels.class_lists import make_label, read_labels

_LISTS = ("ade20k", "cityscapes", "voc", "coco-panoptic", "coco")


def build(request: Request) -> Exportable:
    """Return the network as it is exported; `overrides` are fields of its configuration."""
    from transformers import AutoConfig, AutoModelForSemanticSegmentation

    labels = labels_of(request)
    fields: dict[str, Any] = {**request.model.options["config"], **request.overrides}
    channels = labels[-1:] if _has_one_class(request) else labels
    fields["id2label"] = {index: label.name for index, label in enumerate(channels)}
    fields.pop("label2id", None)
    config = made_by_transformers(AutoConfig.for_model, request.model.name, **fields)
    config._attn_implementation = "eager"  # of matrix products, which all exporters take
    if config.model_type in ONE_SIZE and request.size != request.model.size:
        height, width = request.model.size
        raise SegrtError(
            f"--size {request.size[0]}x{request.size[1]}: {request.model.name} has positions for {height}x{width} "
            "alone; leave --size out"
        )
    classes: Any = AutoModelForSemanticSegmentation._model_mapping
    network = network_weights.load_transformers(classes[type(config)], config, request)
    processor = transformers_semantic.processor_of(request, None, request.model.folder)
    return transformers_semantic.exportable(request, network, processor, labels)


def labels_of(request: Request) -> tuple[Label, ...]:
    """Return the user's classes, or those of the configuration.

    They take colours and numbers of the built-in list that has the same names, if there is one.
    """
    config = request.model.options["config"]
    named = class_names(config)
    if request.labels is not None:
        if _has_one_class(request) and len(request.labels) <= 2:
            return request.labels
        if named and len(request.labels) != len(named) and request.weights.kind != "random":
            raise SegrtError(f"--labels: {request.model.name} has {len(named)} classes, but got {len(request.labels)}")
        return request.labels
    if not named:
        raise SegrtError(f"{request.model.name}: its config.json names no classes; give them with --labels")
    for name in _LISTS:
        known = read_labels(name, things=False)
        labels = checkpoint_labels.from_names(named, known, things=False)
        numbers = {label.dataset_id for label in known}
        if len(labels) == len(known) and {label.dataset_id for label in labels} == numbers:
            return labels
    names = [named.get(index, f"unused {index}") for index in range(max(named) + 1)]
    return tuple(make_label(index, name, isthing=False) for index, name in enumerate(names))


def _has_one_class(request: Request) -> bool:
    """Whether the checkpoint is of one channel, the logit of an object, which may have a name for the rest, too."""
    return len(request.model.options["config"].get("id2label") or {}) == 1
