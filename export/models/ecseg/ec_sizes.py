"""What distinguishes ECSeg's published sizes, after its authors' tables (`configs/ecseg`, `configs/ecdet`)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Config:
    """`embedding` and `heads` of the transformer, whose layers widen `expansion` times; `channels` behind it.

    `projects_all` says whether each of the three maps is projected, or the coarsest alone. `narrow` is the share of
    channels inside the encoder's blocks, `repeated` their layers, `*_hidden` the encoder's and decoder's widest rows.
    """

    classes: int
    embedding: int
    heads: int
    channels: int
    narrow: float
    repeated: int
    encoder_hidden: int
    decoder_hidden: int
    expansion: int
    projects_all: bool
    depth: int = 12
    decoder_layers: int = 4
    queries: int = 300


# embedding, heads, channels, narrow, repeated, encoder's and decoder's hidden, expansion, projects_all
_SIZES: Mapping[str, tuple[int, int, int, float, int, int, int, int, bool]] = {
    "s": (192, 3, 192, 0.34, 2, 512, 512, 4, False),
    "m": (256, 4, 256, 0.75, 2, 512, 1024, 4, False),
    "l": (384, 6, 256, 0.75, 3, 1024, 1024, 4, True),
    "x": (384, 6, 256, 1.5, 3, 2048, 2048, 6, True),
}


def configuration(size: str, classes: int, overrides: Mapping[str, Any]) -> Config:
    """Return the configuration of a size ("s", "m", "l", "x"); `overrides` are fields of it."""
    return replace(Config(classes, *_SIZES[size]), **overrides)
