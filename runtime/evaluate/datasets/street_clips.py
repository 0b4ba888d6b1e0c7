"""Clips of the street world that lie nowhere: `street://?clips=4&seed=900000&frames=100&width=320&height=192&fps=12.5`."""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from segrt.runtime.errors import SegrtError
from segrt.runtime.evaluate.by_technique import TECHNIQUES
from segrt.runtime.evaluate.datasets.clip_frames import frame_id
from segrt.runtime.evaluate.datasets.dataset import Address, ClipSpan, DatasetKind, Sample
from segrt.runtime.evaluate.datasets.street_dataset import SCHEME, asked_numbers, asked_size
from segrt.runtime.evaluate.truth import PanopticTruth, TruthSegment
from segrt.runtime.files.images import Picture
from segrt.runtime.results import Label
from segrt.runtime.streetworld import street_labels
from segrt.runtime.streetworld.clips import ClipFrame, StreetClip

_REMEDY = f"write {SCHEME}?clips=4&seed=900000&frames=100&width=320&height=192&fps=12.5"
_MOST_FPS = 240.0


@dataclass(frozen=True)
class StreetClips:
    """Clips of the streets from `first` on; frames are rendered when they are asked for."""

    first: StreetClip
    count: int

    @property
    def path(self) -> str:
        """The address."""
        height, width = self.first.size
        return (
            f"{SCHEME}?clips={self.count}&seed={self.first.seed}&frames={self.first.frames}&width={width}"
            f"&height={height}&fps={self.first.fps:g}"
        )

    @property
    def labels(self) -> tuple[Label, ...]:
        """The street world's classes."""
        return street_labels()

    @property
    def techniques(self) -> tuple[str, ...]:
        """All three."""
        return TECHNIQUES

    @cached_property
    def clips(self) -> tuple[ClipSpan, ...]:
        """One clip a seed."""
        frames = self.first.frames
        return tuple(
            ClipSpan(self._clip(number).name, number * frames, (number + 1) * frames, self.first.fps, number)
            for number in range(self.count)
        )

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """The frames of all clips, under the ids that their files have."""
        return tuple(
            Sample(
                frame_id(span.name, f"{index:06d}"), Path(span.name, f"{index:06d}.png"), self.first.size, (span, index)
            )
            for span in self.clips
            for index in range(self.first.frames)
        )

    def read_image(self, sample: Sample) -> Picture:
        """Render the frame; picture and truth of one frame are rendered once."""
        return self._frame(sample).image

    def read_truth(self, sample: Sample) -> PanopticTruth:
        """Return the frame's truth."""
        result = self._frame(sample).truth
        segments = tuple(TruthSegment(item.id, item.class_id, iscrowd=False) for item in result.segments)
        return PanopticTruth(result.segment_ids, segments, result.labels)

    def _clip(self, number: int) -> StreetClip:
        first = self.first
        return StreetClip(first.seed + number, first.frames, first.size, first.fps)

    def _frame(self, sample: Sample) -> ClipFrame:
        span, index = sample.annotation
        return _rendered(self._clip(int(span.number)), index)


def open_street_clips(address: Address) -> StreetClips:
    """Return the clips of an address; raise SegrtError for one that says something else than its numbers."""
    text = address.annotations
    parts = urlsplit(text)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    strange = set(given) - {"clips", "seed", "frames", "size", "width", "height", "fps"}
    if strange or parts.netloc or parts.path.strip("/"):
        what = sorted(strange)[0] if strange else parts.netloc or parts.path
        raise SegrtError(f"{text}: {what!r} is unknown; {_REMEDY}")
    bounds = {"clips": ("4", 1, 10_000), "seed": ("900000", 0, 999_999_999), "frames": ("100", 1, 100_000)}
    clips, seed, frames = asked_numbers(text, given, bounds, _REMEDY)
    size = asked_size(text, given, _REMEDY)
    return StreetClips(StreetClip(seed, frames, size, _fps(text, given.get("fps", "12.5"))), clips)


def _fps(address: str, text: str) -> float:
    try:
        fps = float(text)
    except ValueError:
        fps = math.nan
    if not 0.1 <= fps <= _MOST_FPS:
        raise SegrtError(f"{address}: fps={text} must be 0.1 to {_MOST_FPS:g} frames a second; {_REMEDY}")
    return fps


@lru_cache(maxsize=2)
def _rendered(clip: StreetClip, index: int) -> ClipFrame:
    return _known(clip).frame(index)


@lru_cache(maxsize=2)
def _known(clip: StreetClip) -> StreetClip:
    """Return the clip that has its world already, if it is known."""
    return clip


def _recognises(address: Address) -> bool:
    return address.annotations.startswith(SCHEME) and "clips=" in address.annotations


STREET_CLIPS = DatasetKind(_recognises, open_street_clips)
