"""A tracker over a very long video: `python tests/soak/tracking.py [--frames N]`.

Things walk, cross, hide and come back at random, in results of a few pixels, for N frames (100,000 by default), with a
jump back in time now and then. The process must not grow after the first tenth, no id may be given twice, and a tracker
that was pickled half-way must go the same way as the one that was not.
"""

import argparse
import pickle
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "runtime" / "tracking"))

from moving_boxes import CAR, PERSON, Box, panoptic

from segrt.runtime.tracking import Tracker

SIZE = (40, 120)


def resident() -> int:
    """Return the process's memory in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def frame(rng: random.Random, step: int) -> list[Box]:
    """Return the boxes of a frame: eight walkers, each missing at times."""
    boxes = []
    for number in range(8):
        x = (number * 17 + step * (number - 4)) % (SIZE[1] + 20) - 10
        if rng.random() < 0.85 and x < SIZE[1] - 2:
            boxes.append(Box(x, 2 + 4 * (number % 5), 12, 14, (CAR, PERSON)[number % 2], rng.uniform(0.05, 1)))
    return boxes


def main() -> None:
    """Run, and exit with 1 where something is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000)
    frames = parser.parse_args().frames
    rng, tracker, other = random.Random(0), Tracker(), Tracker()
    highest, first, seconds, began = 0, 0, 0.0, time.monotonic()
    for step in range(frames):
        seconds = 0.0 if step % 9973 == 9972 else seconds + 0.04
        result = panoptic(*frame(rng, step), size=SIZE)
        known = {track.track_id for track in tracker.tracks}
        ids = [item.track_id for item in tracker.update(result, seconds)]
        if step == frames // 2:
            other = pickle.loads(pickle.dumps(tracker))
        elif step > frames // 2 and ids != [item.track_id for item in other.update(result, seconds)]:
            sys.exit(f"frame {step}: the pickled tracker has gone another way")
        new = {track.track_id for track in tracker.tracks} - known
        if new and min(new) <= highest:
            sys.exit(f"frame {step}: id {min(new)} was given twice, {highest} was the last")
        highest = max(highest, *new) if new else highest
        if step == frames // 10:
            first = resident()
    grown = resident() - first
    print(
        f"{frames} frames in {time.monotonic() - began:.0f} s, {highest} ids, {grown / 1e6:+.1f} MB since a tenth of it"
    )
    if grown > 8e6:
        sys.exit("the process has grown")


if __name__ == "__main__":
    main()
