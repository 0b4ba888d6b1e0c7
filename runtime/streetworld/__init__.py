"""The street world: a procedural, moving street with exact panoptic ground truth.

It stands in for the photographs, videos and weights that cannot be shipped: the embedded models are trained on it, the
demo shows it, tests and benchmarks read it. A world is a pure function of its seed, the time and the picture size:

    world = StreetWorld(seed=7)
    view = world.render(time=1.5, size=(360, 640))
    view.image                                      # uint8 BGR (360, 640, 3)
    view.segment_ids, view.segments                 # int32 (360, 640), 0 = void, and what each id is

Stuff: sky, building, road, pavement, grass. Things: car, bus, person, cyclist, traffic light, dog; a thing keeps its
id from frame to frame. Things with fewer than 16 visible pixels are marked as crowd, as COCO does with what cannot be
told apart.
"""

from segrt.runtime.streetworld.taxonomy import CLASSES, STUFF, THINGS, street_labels
from segrt.runtime.streetworld.world import WIDEST, StreetSegment, StreetView, StreetWorld

__all__ = ["CLASSES", "STUFF", "THINGS", "WIDEST", "StreetSegment", "StreetView", "StreetWorld", "street_labels"]
