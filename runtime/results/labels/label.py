"""The class list of a model or a data set."""

from collections.abc import Sequence

import msgspec


class Label(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One class; its position in the list of labels is its `class_id` (contiguous, 0-based).

    `dataset_id` is the class's number in the data set's own numbering (COCO's category_id, for instance), `color` is
    RGB, each 0 to 255, and `isthing` tells countable things from stuff.
    """

    name: str
    dataset_id: int
    isthing: bool
    color: tuple[int, int, int]

    def __post_init__(self) -> None:
        """Raise ValueError for a value out of range; msgspec turns it into a ValidationError that names the field."""
        if not self.name:
            raise ValueError("a label's name must not be empty")
        if self.dataset_id < 0:
            raise ValueError(f"dataset_id of label {self.name!r} must be at least 0, but got {self.dataset_id}")
        if len(self.color) != 3 or any(not 0 <= channel <= 255 for channel in self.color):
            raise ValueError(f"color of label {self.name!r} must be RGB, each 0 to 255, but got {self.color}")


def check_labels(labels: Sequence[Label]) -> tuple[Label, ...]:
    """Return `labels` as a tuple; raise ValueError when it is empty or holds something else than labels."""
    checked = tuple(labels)
    if not checked:
        raise ValueError("labels must hold at least one Label, but it is empty")
    for label in checked:
        if not isinstance(label, Label):
            raise ValueError(f"labels must hold Label, but got {type(label).__name__}")
    return checked
