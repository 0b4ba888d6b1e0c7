"""What an exporter says of a network, in segrt's own terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from segrt.runtime.decode.merge_queries import MergeRule
from segrt.runtime.decode.rule import DecodeRule
from segrt.runtime.preprocess.input_spec import Channels, Resize
from segrt.runtime.results.technique import Technique

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Normalisation:
    """A float input is (x * scale - mean) / std, with x 0 to 255."""

    scale: float = 1 / 255
    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)


# What a YOLO is fed: ultralytics' LetterBox, in grey 114, and nothing but x / 255.
LETTERBOX = Resize("letterbox", pad=(114, 114, 114))
# yolact, data/config.py: MEANS and STD in BGR, here in RGB.
YOLACT = Normalisation(1.0, (123.68, 116.78, 103.94), (58.40, 57.12, 57.38))

Subject = Literal["labels", "resize", "values", "color", "everything"]
REMEDIES: Mapping[Subject, str] = {
    "labels": "give them with --labels",
    "resize": "say with --resize stretch, letterbox or shortest-edge how pictures are brought to the input's size",
    "values": "say with --scale, --mean and --std what the network is fed",
    "color": "say with --color rgb or bgr in which order it is fed",
    "everything": "say with --resize, and with --scale, --mean or --std, how pictures are prepared",
}


@dataclass(frozen=True)
class Problem:
    """Something in a side file that cannot be honoured; options of the user's on its subject take its place."""

    subject: Subject
    text: str

    def __str__(self) -> str:
        return f"{self.text}; {REMEDIES[self.subject]}"


@dataclass(frozen=True)
class Convention:
    """What is known of a file before its network was run; None: not said.

    `names` are the classes by the network's own ids; `rows` is what a YOLO's predictions are; `activation` that of
    class logits; `rules` are decode rules by their names, whose parameters the network's own post-processing sets;
    `whole_masks` tells whether masks of boxes lie in the whole picture; `is_read` that normalisation and
    resizing stand in a file, and are not only usual with the exporter; `notes` tell where all this comes from.
    """

    exporter: str | None = None
    technique: Technique | None = None
    names: Mapping[int, str] | None = None
    size: tuple[int, int] | None = None
    color: Literal["rgb", "bgr"] | None = None
    normalisation: Normalisation | None = None
    resize: Resize | None = None
    merge_rule: MergeRule | None = None
    rules: Mapping[str, DecodeRule] = field(default_factory=dict)
    rows: str | None = None
    activation: str | None = None
    whole_masks: bool | None = None
    mask_threshold: float | None = None
    is_read: bool = False
    problems: Sequence[Problem] = ()
    notes: Sequence[str] = ()
