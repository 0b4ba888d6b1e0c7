"""The street world as a data set that lies nowhere: `street://?seed=900000&frames=200&width=320&height=192`."""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.by_technique import TECHNIQUES
from segrt.runtime.evaluate.datasets.dataset import Address, DatasetKind, Sample
from segrt.runtime.evaluate.truth import PanopticTruth, TruthSegment
from segrt.runtime.files.images import Picture
from segrt.runtime.results import Label
from segrt.runtime.streetworld import WIDEST, StreetView, StreetWorld, street_labels
from segrt.runtime.streetworld.moments import EDGES, drawn_time

SCHEME = "street://"
_MOST_FRAMES = 1_000_000
_LAST_SEED = 999_999_999
_MOST_DIGITS = 20


@dataclass(frozen=True)
class StreetDataset:
    """`frames` worlds from `seed` on, each at the moment its seed draws, rendered when they are asked for.

    `wide` is that of `StreetWorld`: with more than 1 things are so many times smaller.
    """

    seed: int
    frames: int
    size: tuple[int, int]
    wide: int = 1

    @property
    def path(self) -> str:
        """The address."""
        address = f"{SCHEME}?seed={self.seed}&frames={self.frames}&width={self.size[1]}&height={self.size[0]}"
        return address if self.wide == 1 else f"{address}&wide={self.wide}"

    @property
    def labels(self) -> tuple[Label, ...]:
        """The street world's classes."""
        return street_labels()

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """One sample per world; its id is the seed."""
        seeds = range(self.seed, self.seed + self.frames)
        return tuple(Sample(seed, Path(f"street-{seed}.png"), self.size) for seed in seeds)

    @property
    def techniques(self) -> tuple[str, ...]:
        """All three."""
        return TECHNIQUES

    def read_image(self, sample: Sample) -> Picture:
        """Render the world; picture and truth of one world are rendered once."""
        return _view(int(sample.image_id), self.size, self.wide).image

    def read_truth(self, sample: Sample) -> PanopticTruth:
        """Return the world's truth."""
        return street_truth(_view(int(sample.image_id), self.size, self.wide))


def street_truth(view: StreetView) -> PanopticTruth:
    """Return what a street view shows, in the terms of the evaluation."""
    segments = tuple(TruthSegment(segment.id, segment.class_id, segment.iscrowd) for segment in view.segments)
    return PanopticTruth(view.segment_ids, segments, street_labels())


def open_street(address: str) -> StreetDataset:
    """Return the data set of an address; raise SegrtError for one that says something else than its numbers."""
    parts = urlsplit(address)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    remedy = f"write {SCHEME}?seed=900000&frames=200&width=320&height=192"
    strange = set(given) - {"seed", "frames", "size", "width", "height", "wide"}
    if strange or parts.netloc or parts.path.strip("/"):
        what = sorted(strange)[0] if strange else parts.netloc or parts.path
        raise SegrtError(f"{address}: {what!r} is unknown; {remedy}")
    bounds = {"seed": ("900000", 0, _LAST_SEED), "frames": ("200", 1, _MOST_FRAMES), "wide": ("1", 1, WIDEST)}
    seed, frames, wide = asked_numbers(address, given, bounds, remedy)
    return StreetDataset(seed, frames, asked_size(address, given, remedy), wide)


def asked_numbers(
    address: str, given: dict[str, str], bounds: dict[str, tuple[str, int, int]], remedy: str
) -> list[int]:
    """Return the whole numbers of these names; `bounds` are (default, least, most). Raises SegrtError for others."""
    numbers = []
    for name, (default, least, most) in bounds.items():
        text = given.get(name, default)
        if not re.fullmatch("[0-9]+", text):
            raise SegrtError(f"{address}: {name}={text} must be a whole number; {remedy}")
        if len(text) > _MOST_DIGITS or not least <= int(text) <= most:
            raise SegrtError(f"{address}: {name}={text} must be {least} to {most}; {remedy}")
        numbers.append(int(text))
    return numbers


def asked_size(address: str, given: dict[str, str], remedy: str) -> tuple[int, int]:
    """Return (height, width) of width= and height=, or of size=HEIGHTxWIDTH."""
    edges = [name for name in ("width", "height") if name in given]
    if not edges:
        return _size(address, given.get("size", "192x320"), remedy)
    if "size" in given or len(edges) < 2:
        raise SegrtError(f"{address}: width and height go together, without size; {remedy}")
    for name in edges:
        text = given[name]
        if not re.fullmatch("[0-9]{1,6}", text) or not EDGES[0] <= int(text) <= EDGES[1]:
            raise SegrtError(f"{address}: {name}={text} must be {EDGES[0]} to {EDGES[1]} pixels; {remedy}")
    return int(given["height"]), int(given["width"])


def _size(address: str, text: str, remedy: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", text)
    height, width = (int(match[1]), int(match[2])) if match else (0, 0)
    if not EDGES[0] <= min(height, width) <= max(height, width) <= EDGES[1]:
        raise SegrtError(f"{address}: size={text} must be HEIGHTxWIDTH, each {EDGES[0]} to {EDGES[1]} pixels; {remedy}")
    if height > width:  # a camera's source has the width first
        raise SegrtError(
            f"{address}: size={text}: height comes first here; did you mean {width}x{height}? If not, write "
            f"width={width}&height={height}"
        )
    return height, width


@lru_cache(maxsize=2)
def _view(seed: int, size: tuple[int, int], wide: int) -> StreetView:
    return StreetWorld(seed, wide=wide).render(drawn_time(seed), size)


def _open(address: Address) -> StreetDataset:
    return open_street(address.annotations)


STREET = DatasetKind(lambda address: address.annotations.startswith(SCHEME), _open)
