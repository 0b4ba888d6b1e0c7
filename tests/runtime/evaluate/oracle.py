"""Scenes whose truth is known, and a segmenter that says it."""

import json

import numpy as np

from segrt.runtime.outputs import coco_results
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Segment, SemanticResult, rle

LABELS = (
    Label("road", 21, False, (110, 90, 150)),
    Label("car", 3, True, (40, 110, 240)),
    Label("person", 1, True, (230, 60, 80)),
)


def scene(number):
    """A 60 x 80 map: road below, a car, two people, and above them a crowd and void."""
    ids = np.zeros((60, 80), np.int32)
    ids[30:] = 70_001
    ids[20:40, 5 + number : 30 + number] = 2
    ids[25:55, 40:46] = 3
    ids[25:55, 60:67] = 4
    ids[2:10, 50:78] = 5
    return ids


SEGMENTS = {70_001: 0, 2: 1, 3: 2, 4: 2, 5: 2}


class Oracle:
    """A segmenter that knows the truth; its classes are in another order than the data set's."""

    def __init__(self, technique):
        self.technique = technique
        order = [2, 1] if technique == "instance" else [2, 0, 1]
        self.labels = tuple(LABELS[index] for index in order)
        self.own = {index: position for position, index in enumerate(order)}

    def __call__(self, image):  # noqa: D102
        ids = scene(int(image[0, 0, 0]))
        if self.technique == "semantic":
            class_map = np.full(ids.shape, 255, np.uint8)
            for identity, class_id in SEGMENTS.items():
                class_map[ids == identity] = self.own[class_id]
            return SemanticResult(class_map, self.labels)
        chosen = [(i, c) for i, c in SEGMENTS.items() if i != 5 and c in self.own]
        if self.technique == "instance":
            return InstanceResult(
                np.zeros((len(chosen), 4), np.float32),
                np.linspace(0.9, 0.5, len(chosen), dtype=np.float32),
                np.array([self.own[c] for _, c in chosen]),
                [rle.encode(ids == i) for i, _ in chosen],
                ids.shape,
                self.labels,
            )
        segments = [Segment(i, self.own[c], LABELS[c].isthing, 0.9, 1, (0, 0, 1, 1)) for i, c in chosen]
        return PanopticResult(np.where(ids == 5, 0, ids).astype(np.int32), segments, self.labels)


def save_predictions(folder, technique):
    """Let the oracle predict, write its results as COCO files, return the path."""
    oracle = Oracle(technique)
    path = folder / f"{technique}.json"
    results = [oracle(np.full((60, 80, 3), number, np.uint8)) for number in range(3)]
    if technique == "instance":
        path.write_text(json.dumps([e for n, r in enumerate(results) for e in r.to_coco(n)]))
    else:
        with coco_results.PanopticFolder(path, oracle.labels) as writer:
            for number, result in enumerate(results):
                writer.add(result, number, f"{number}.png")
    return path
