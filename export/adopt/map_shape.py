"""Whether a map of classes or scores can lie over the picture: its sides must have the input's ratio."""

from segrt.export.adopt.candidates import Candidate, UndecidedError
from segrt.export.adopt.guessing import Output

ROLES = ("semantic_logits", "class_map", "object_scores")
_CELLS = 1.5  # that rounding at each stride may add or take


def check_shape(role: str, output: Output, size: tuple[int, int], old_name: str) -> None:
    """Raise UndecidedError for a map whose (h, w), its last two lengths, are no reduced `size` (h, w) of the input.

    Maps with height and width swapped, or flattened to (N, h * w, C), would be stretched over the picture without a
    word. `old_name` is the output as the file has it.
    """
    height, width = output.spec.lengths[-2:]
    wanted_height, wanted_width = width * size[0] / size[1], height * size[1] / size[0]
    if min(abs(height - wanted_height), abs(width - wanted_width)) <= _CELLS:
        return
    raise UndecidedError(
        f"output {old_name!r} of {height}×{width} cells does not have the ratio of the input's {size[0]}×{size[1]}; "
        "export it as classes × height × width of the picture, or where it is to be stretched over it",
        [Candidate(f"--head {role}={old_name}", {"heads": {role: old_name}})],
    )
