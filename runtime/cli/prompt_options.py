"""--prompt: which objects `segrt run` is to segment, in words or from a file of a detector's results."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segrt.runtime.console.printable import say
from segrt.runtime.console.words import counted

if TYPE_CHECKING:
    from segrt.runtime.bundle.manifest import Manifest
    from segrt.runtime.cli.prompt_results import ResultsFile
    from segrt.runtime.preprocess.prompts import Prompt
    from segrt.runtime.results import InstanceResult, Label
    from segrt.runtime.segmenter.given_prompts import GivenPrompts

_NUMBER = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_JOINT = re.compile(r"(?<![0-9.][eE])\+")  # between parts, not in 1e+2
_FORMS = "box:LEFT,TOP,RIGHT,BOTTOM or point:X,Y"
PROMPT = click.option(
    "--prompt",
    "prompts",
    multiple=True,
    metavar="PROMPT",
    help="For bundles that take prompts, one object each: box:LEFT,TOP,RIGHT,BOTTOM or point:X,Y in pixels, several "
    "for one object joined by + (point:50,60+point:70,80,background). Or a coco.json that `segrt run --save coco` of "
    "another bundle has written: a mask for each of its objects. May be repeated.",
)


@dataclass(frozen=True)
class PromptPlan:
    """What --prompt says: objects in words, which are asked of every picture, and files of results.

    `labels` are the classes of all that may be found: "object", which is what words point at, then the files'
    categories by number. They are the same for every picture.
    """

    words: tuple[tuple[str, "Prompt"], ...]
    files: "tuple[ResultsFile, ...]"
    labels: "tuple[Label, ...]"

    def of_picture(self, picture: Path, size: tuple[int, int], tokens: int) -> "GivenPrompts":
        """Return the prompts for `picture`, of `size` (H, W); raise SegrtError for one that does not fit it.

        `tokens` is how many the network takes. Says which of a file's objects are left out, for they have no pixels.
        """
        import numpy as np

        from segrt.runtime.preprocess.prompts import check_prompt
        from segrt.runtime.segmenter.given_prompts import GivenPrompts

        prompts = [check_prompt(prompt, size, tokens, f"--prompt {word} for {picture}") for word, prompt in self.words]
        class_ids = [0] * len(prompts)
        for file in self.files:
            found, empty = file.of_picture(picture, size)
            if empty:
                say(f"segrt: {file.path}: {counted(empty, 'object')} of {picture} without pixels left out", err=True)
            prompts += [prompt for prompt, _ in found]
            class_ids += [self._positions[category] for _, category in found]
        return GivenPrompts(tuple(prompts), np.array(class_ids, np.int64), self.labels)

    def meant(self, class_ids: frozenset[int]) -> frozenset[int]:
        """Return the positions in `labels` that a choice of classes means: "object" is every object, of files, too."""
        return frozenset(range(len(self.labels))) if 0 in class_ids else class_ids

    def found_text(self, found: str, picture: Path) -> str:
        """Return `found`, what a result says of `picture`, with the files that have no prompts for it."""
        silent = [str(file.path) for file in self.files if file.key_of(picture) is None]
        if not silent:
            return found
        remark = f"no prompts for it in {', '.join(silent)}"
        return remark if not self.words and len(silent) == len(self.files) else f"{found}, {remark}"

    def bare_text(self, meant: "InstanceResult", blurred: frozenset[int]) -> str:
        """Return which objects in words have no pixel to blur, neither a mask nor a box; "" for none of them.

        `blurred` are the classes that are. `meant` has the boxes that were asked for; where points alone were, the
        masks' extents.
        """
        from segrt.runtime.results import rle

        pairs = zip(meant.class_ids, meant.rles, meant.boxes, strict=True)
        bare = [
            index
            for index, (class_id, mask, (left, top, right, bottom)) in enumerate(pairs)
            if class_id in blurred and not (rle.area(mask) or (left < right and top < bottom))
        ]
        names = ", ".join(self.words[index][0] for index in bare)  # a file's objects all have boxes
        return (
            names and f"nothing blurred for {names}: no mask was found and no box given; add a box to the point with +"
        )

    def refuse_replacing(self, path: Path) -> None:
        """Raise SegrtError when `path`, which --save coco writes, is one of the files that are read."""
        from segrt.runtime.errors import SegrtError

        for file in self.files:
            if file.path.resolve() == path.resolve():
                raise SegrtError(f"--prompt {file.path}: --save coco would replace it; give another --out")

    @cached_property
    def _positions(self) -> dict[int, int]:
        """The position in `labels` of each category of the files."""
        return {label.dataset_id: index for index, label in enumerate(self.labels) if index}


def prompt_plan(given: Sequence[str], manifest: "Manifest", bundle: str, pictures: Sequence[Path]) -> PromptPlan | None:
    """Return what --prompt says for a bundle that takes prompts, None for another without any.

    Raises SegrtError for a bundle that takes none but got some, or the other way round, and for words that are no
    prompt. A file of results must know one of `pictures`, all that are segmented.
    """
    from segrt.runtime.cli.prompt_results import read_results
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.results.labels.class_lists import make_label
    from segrt.runtime.results.labels.one_object import OBJECT_LABEL

    if not manifest.takes_prompts:
        if given:
            raise SegrtError(
                f"--prompt {given[0]}: {bundle} finds objects by itself and takes no prompts; leave it out, or use a "
                "bundle of `segrt export edgetam-repvit-m1`"
            )
        return None
    if not given:
        raise SegrtError(
            f"{bundle}: segments what prompts point at, but got none; give --prompt {_FORMS}, in pixels, for each"
        )
    words, files = [], []
    for text in given:
        if text.lower().endswith(".json"):
            files.append(read_results(Path(text), pictures))
        else:
            words.append((text, parse_prompt(text)))
    categories = {entry.category_id for file in files for entries in file.entries.values() for entry in entries}
    labels = (make_label(number, f"category {number}", isthing=True) for number in sorted(categories))
    return PromptPlan(tuple(words), tuple(files), (OBJECT_LABEL, *labels))


def parse_prompt(text: str) -> "Prompt":
    """Return the prompt that `text` stands for: box:L,T,R,B and point:X,Y[,object|,background], joined by "+".

    Raises SegrtError for anything else. What depends on the picture is checked with it.
    """
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.preprocess.prompts import BACKGROUND, OBJECT, Box, Prompt

    box: Box | None = None
    points, labels = [], []
    for part in _JOINT.split(text):
        kind, colon, rest = part.strip().partition(":")
        fields = [field.strip() for field in rest.split(",")]
        if not colon or kind not in ("box", "point"):
            raise SegrtError(
                f"--prompt {text}: must be {_FORMS}, several for one object joined by +, or a FILE.json, but got "
                f"{part.strip()!r}"
            )
        if kind == "box":
            if box is not None:
                raise SegrtError(
                    f"--prompt {text}: has two boxes, but is one object; give a --prompt for each, or points beside one"
                )
            left, top, right, bottom = _numbers(text, part, fields, 4, "LEFT,TOP,RIGHT,BOTTOM")
            box = (left, top, right, bottom)
            continue
        mark = OBJECT
        if len(fields) == 3:
            if fields[2] not in ("object", "background"):
                raise SegrtError(
                    f"--prompt {text}: behind a point's X,Y may stand object or background, but got {fields[2]!r}"
                )
            mark = OBJECT if fields.pop() == "object" else BACKGROUND
        x, y = _numbers(text, part, fields, 2, "X,Y")
        points.append((x, y))
        labels.append(mark)
    if box is None and OBJECT not in labels:
        raise SegrtError(
            f"--prompt {text}: shows background alone, no object; join it to a box or a point on the object with +, "
            f"as point:50,60+{text}"
        )
    return Prompt(box, tuple(points), tuple(labels))


def _numbers(text: str, part: str, fields: Sequence[str], count: int, form: str) -> list[float]:
    """Return `count` finite numbers; raise SegrtError that names the --prompt `text` and its `part`."""
    import math

    from segrt.runtime.errors import SegrtError

    kind = part.strip().partition(":")[0]
    numbers = [float(field) for field in fields if _NUMBER.fullmatch(field)]  # float() takes 1_0 and other digits, too
    if not len(numbers) == len(fields) == count or not all(math.isfinite(number) for number in numbers):
        raise SegrtError(f"--prompt {text}: {kind} must be {kind}:{form}, numbers in pixels, but got {part.strip()!r}")
    return numbers
