"""The classes of a foreign network: the user's list, or the names that its file has, in the order of its class ids."""

from collections.abc import Mapping, Sequence

import msgspec

from segrt.export.graph.editing import Graph
from segrt.export.weights.checkpoint_labels import from_names
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.errors import SegrtError
from segrt.runtime.results import Label
from segrt.runtime.results.labels.class_lists import NAMES, read_labels, spread, uncounted
from segrt.runtime.results.technique import Technique

# In which list to look first, for names are in several: "person" is in all.
_LIKELY = {
    "instance": ["coco", "voc", "cityscapes", "coco-panoptic", "ade20k"],
    "panoptic": ["coco-panoptic", "cityscapes", "ade20k", "coco", "voc"],
    "semantic": ["voc", "cityscapes", "ade20k", "coco-panoptic", "coco"],
}


def first_labels(
    given: str | None, names: Mapping[int, str] | None, technique: Technique, notes: list[str]
) -> tuple[Label, ...]:
    """Return the list that the user gave, or the file's own names; raise SegrtError where there are neither.

    Names that are all of one built-in list take its colours, things and stuff, and its numbers if they are the whole
    list: a network of a few classes has its own data set.
    """
    things = technique == "instance"
    if given is not None:
        labels = read_labels(given, things=things)
        if technique == "panoptic" and (warning := uncounted(labels, f"--labels {given}")) is not None:
            notes.append(warning)
        return labels
    if not names:
        raise SegrtError(f"the file names no classes; add --labels {', '.join(NAMES)} or a file")
    for built_in in _LIKELY[technique]:
        listed = read_labels(built_in, things=things)
        labels = from_names(names, listed, things=things)
        named = {label.name for label in labels if not label.name.startswith("unused ")}
        known = {label.name for label in listed}
        if named == known:
            notes.append(f"classes: the file's names, which are those of {built_in}")
            return labels
        if named and named < known:
            notes.append(f"classes: the file's names, all of them in {built_in}, which tells things from stuff")
            return tuple(msgspec.structs.replace(label, dataset_id=index) for index, label in enumerate(labels))
    notes.append(f"classes: the file's names, {'all things' if things else 'all stuff'}; --labels tells them apart")
    return from_names(names, (), things=things)


def fitting_labels(
    labels: tuple[Label, ...], classes: int | None, given: str | None, ids: str, notes: list[str]
) -> tuple[Label, ...]:
    """Return the labels in the order of the network's class ids, of which there are `classes` (None: not known).

    `ids` is "dataset" where the network counts by the data set's own, gapped ids. Raises SegrtError for a list of
    another length, unless it has gaps that the network may count with.
    """
    highest = max(label.dataset_id for label in labels)
    has_gaps = highest >= len(labels)
    if ids == "dataset":
        labels = spread(labels, highest + 1)
    if classes is None or classes == len(labels):
        return labels
    if has_gaps and classes > highest:
        notes.append(
            f"the network counts {classes} classes by the data set's own ids, up to {highest}: labels spread out"
        )
        return spread(labels, classes)
    where = f"--labels {given}: has" if given is not None else "the file names"
    raise SegrtError(f"{where} {len(labels)} classes, but the network has {classes}; give its own")


def class_count(graph: Graph, rule: str, heads: Sequence[HeadSpec], sigmoid: bool) -> int | None:
    """Return how many classes the network tells apart, or None where its heads don't show it."""
    roles = {head.role: head for head in heads}
    if rule in ("argmax", "group_centers"):
        return int(roles["semantic_logits"].shape[1])
    if rule == "class_map":
        return graph.argmax_classes(roles["class_map"].name)
    if rule in ("paste_masks", "prototype_masks", "binary"):
        return None  # boxes and one channel show no classes; for prototypes the labels were needed to tell the heads
    rows = int(roles["class_logits"].shape[2])
    return rows if sigmoid else rows - 1
