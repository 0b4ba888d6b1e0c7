"""The truth card: what was checked of a bundle when it was exported, and what its weights are known to score.

Figures are shares, 0 to 1, as `segrt eval` writes them.
"""

from typing import Annotated, Literal

import msgspec

from segrt.runtime.inference.tensors import Name

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class PublishedMetric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the publisher of the weights says that they score, in its own framework.

    metric: "mIoU", "mask AP" or "PQ". dataset: in words, with the part that was measured on. source: the address of the
    page, or the paper, that says so.
    """

    metric: Name
    value: Share
    dataset: Name
    source: Name


class ParityCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One comparison with the source framework, in words: of a head by its name, of the `result`, of the `input`."""

    what: Name
    measured: Name
    allowed: Name


class MeasuredMetric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The technique's metric before and after the conversion, on the same pictures.

    dataset: the name of the annotations, images: how many pictures there were. source: the source framework's
    unmodified network and post-processing. variants: the bundle's, by precision, as opened without options, in ONNX
    Runtime on a CPU. None where the data set holds nothing to measure.

    Detections below the bundle's own score threshold are left out on both sides, which is why a mask AP is lower here
    than a published one, which ranks them all.
    """

    metric: Name
    dataset: Name
    images: Annotated[int, msgspec.Meta(ge=1)]
    source: Share | None
    variants: dict[str, Share | None]


class TruthCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a bundle can be believed.

    parity: `quick` where one picture alone was compared with the source framework. images, pictures: how many were,
    and whether they were the exporter's synthetic ones or the user's own. checks: what was compared, and its limits.
    Figures of each variant stand in its `parity`.
    """

    parity: Literal["full", "quick"]
    images: Annotated[int, msgspec.Meta(ge=1)]
    pictures: Literal["synthetic", "own"]
    checks: tuple[ParityCheck, ...]
    published: PublishedMetric | None = None
    measured: MeasuredMetric | None = None
