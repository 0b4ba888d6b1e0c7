"""Lists of steps in mmdeploy's and PaddleSeg's files, gathered into what a bundle says of its input."""

from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from segrt.export.adopt.conventions.convention import Convention, Normalisation, Problem
from segrt.runtime.preprocess.input_spec import Channels, Resize


@dataclass
class Steps:
    """What the steps read so far come to. `size` is that of the network's input where a step names it."""

    normalisation: Normalisation | None = None
    color: Literal["rgb", "bgr"] | None = None
    resize: Resize | None = None
    size: tuple[int, int] | None = None
    divisor: int = 1
    problems: list[Problem] = field(default_factory=list)

    def pad(self, value: Channels) -> None:
        """Note the colour of the padding, in the values that a picture has at this step."""
        if self.normalisation is not None:
            known = self.normalisation
            rows = zip(value, known.mean, known.std, strict=True)
            value = tuple((level * std + mean) / known.scale for level, mean, std in rows)  # type: ignore[assignment]
        red, green, blue = (min(max(round(level), 0), 255) for level in value)
        kept = self.resize if self.resize is not None else Resize("letterbox", pad_side="bottom_right")
        if kept.rule != "stretch":
            self.resize = msgspec.structs.replace(kept, pad=(red, green, blue))

    def joined(self, convention: Convention) -> Convention:
        """Return `convention` with what the steps say."""
        return replace(
            convention,
            size=self.size or convention.size,
            color=self.color,
            normalisation=self.normalisation or Normalisation(1.0),
            resize=self.resize,
            is_read=True,
            problems=(*convention.problems, *self.problems),
        )
