"""--prompt: which objects `segrt run` is to segment, in words or from a file of a detector's results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from segrt.runtime.bundle.manifest import Manifest
    from segrt.runtime.cli.prompt_results import ResultsFile
    from segrt.runtime.preprocess.prompts import Prompt
    from segrt.runtime.results.coco_entries import ImageId
    from segrt.runtime.segmenter.given_prompts import GivenPrompts

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
    """What --prompt says: objects in words, which are asked of every picture, and files of results."""

    words: tuple[tuple[str, "Prompt"], ...]
    files: "tuple[ResultsFile, ...]"

    def of_picture(self, image_id: "ImageId", size: tuple[int, int], tokens: int, picture: Path) -> "GivenPrompts":
        """Return the prompts for `picture`, of `size` (H, W); raise SegrtError for one that does not fit it.

        `tokens` is how many the network takes. Classes are those of the files by number, "object" for words.
        """
        import numpy as np

        from segrt.runtime.preprocess.prompts import check_prompt
        from segrt.runtime.results.labels.class_lists import make_label
        from segrt.runtime.results.labels.one_object import OBJECT_LABEL
        from segrt.runtime.segmenter.given_prompts import GivenPrompts

        prompts = [check_prompt(prompt, size, tokens, f"--prompt {word} for {picture}") for word, prompt in self.words]
        labels = [OBJECT_LABEL]
        class_ids = [0] * len(prompts)
        for file in self.files:
            for prompt, category in file.of_picture(image_id, size, picture):
                name = f"category {category}"
                known = [label.name for label in labels]
                if name not in known:
                    labels.append(make_label(category, name, isthing=True))
                    known.append(name)
                prompts.append(prompt)
                class_ids.append(known.index(name))
        return GivenPrompts(tuple(prompts), np.array(class_ids, np.int64), tuple(labels))


def prompt_plan(
    given: Sequence[str], manifest: "Manifest", bundle: str, image_ids: "Sequence[ImageId]"
) -> PromptPlan | None:
    """Return what --prompt says for a bundle that takes prompts, None for another without any.

    Raises SegrtError for a bundle that takes none but got some, or the other way round, and for words that are no
    prompt. `image_ids` are those of all pictures: a file of results must know one of them.
    """
    from segrt.runtime.cli.prompt_results import read_results
    from segrt.runtime.errors import SegrtError

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
            files.append(read_results(Path(text), image_ids))
        else:
            words.append((text, parse_prompt(text)))
    return PromptPlan(tuple(words), tuple(files))


def parse_prompt(text: str) -> "Prompt":
    """Return the prompt that `text` stands for: box:L,T,R,B and point:X,Y[,object|,background], joined by "+".

    Raises SegrtError for anything else. What depends on the picture is checked with it.
    """
    from segrt.runtime.errors import SegrtError
    from segrt.runtime.preprocess.prompts import BACKGROUND, OBJECT, Box, Prompt

    box: Box | None = None
    points, labels = [], []
    for part in text.split("+"):
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
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise SegrtError(f"--prompt {text}: {kind} must be {kind}:{form}, numbers in pixels, but got {part.strip()!r}")
    return numbers
