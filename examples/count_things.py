"""Counts the things in every frame of a video: `python examples/count_things.py street-panoptic street.mp4`."""

import sys
from collections import Counter

from segrt.runtime import open_bundle
from segrt.runtime.results import PanopticResult


def main(bundle: str, source: str) -> None:
    """Print each frame's time and how many things of each class it shows."""
    with open_bundle(bundle) as segmenter:
        for frame, result in segmenter.stream(source):
            if not isinstance(result, PanopticResult):
                sys.exit(f"{bundle} is {segmenter.technique}; this example counts the segments of a panoptic model")
            things = Counter(result.labels[item.class_id].name for item in result.segments if item.isthing)
            counted = ", ".join(f"{count} {name}" for name, count in sorted(things.items())) or "nothing"
            print(f"{frame.pts or 0.0:7.2f} s: {counted}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
