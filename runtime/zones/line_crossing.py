"""When a thing crosses a line: its centre's path does, from clearly on one side to clearly on the other."""

from dataclasses import dataclass

from segrt.runtime.zones.polygons import segments_meet, side
from segrt.runtime.zones.shapes import LEFT_TO_RIGHT, RIGHT_TO_LEFT, Line, Point

MARGIN = 0.005
"""Of the picture's diagonal: a centre that is nearer to the line is on neither side; one that trembles counts once."""


@dataclass
class CentrePath:
    """One thing's way past one line: its last place that was clearly on one side, in pixels, None before there was one.

    Which side that is: below 0 left, above 0 right.
    """

    place: Point | None = None
    side: float = 0.0

    def move(self, line: Line, centre: Point, size: tuple[int, int]) -> str | None:
        """Take the centre, (x, y) in pixels of a picture of `size` (H, W); return the direction of a crossing, if any.

        It crosses when it is now clearly on the other side and the straight way there from its last clear place meets
        the line between its ends; who walks around an end does not cross.
        """
        height, width = size
        start, end = _pixels(line.start, size), _pixels(line.end, size)
        length = ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5
        distance = side(start, end, centre) / length if length else 0.0
        if abs(distance) < MARGIN * (height**2 + width**2) ** 0.5:
            return None
        before, was = self.place, self.side
        self.place, self.side = centre, distance
        if before is None or was * distance > 0 or not segments_meet(start, end, before, centre):
            return None
        return LEFT_TO_RIGHT if was < 0 else RIGHT_TO_LEFT


def _pixels(point: Point, size: tuple[int, int]) -> Point:
    return point[0] * size[1], point[1] * size[0]
