"""What is wrong with a polygon, and whether two segments cross."""

from collections.abc import Sequence

from segrt.runtime.zones.shapes import Point

SMALLEST_AREA = 1e-6
"""Of the picture: a pixel of a 1000x1000 picture."""


def outside(points: Sequence[Point]) -> tuple[int, Point] | None:
    """Return the first point, counted from 1, that is not in the picture; NaN is in none."""
    for number, point in enumerate(points, 1):
        if not all(0 <= value <= 1 for value in point):
            return number, point
    return None


def area(polygon: Sequence[Point]) -> float:
    """Return the area of a polygon that does not cross itself, as a share of the picture (shoelace formula)."""
    edges = zip(polygon, [*polygon[1:], polygon[0]], strict=True)
    return abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in edges)) / 2


def crossing_edges(polygon: Sequence[Point]) -> tuple[int, int] | None:
    """Return two edges, counted from 1 at the first corner, that cross or touch each other; None where none do.

    Edges that follow one another share a corner, and touch only if one runs back over the other.
    """
    edges = list(zip(polygon, [*polygon[1:], polygon[0]], strict=True))
    for one in range(len(edges)):
        for other in range(one + 1, len(edges)):
            follows = other == one + 1 or (one == 0 and other == len(edges) - 1)
            if follows:
                first, second = (edges[one], edges[other]) if other == one + 1 else (edges[other], edges[one])
                if _runs_back(first[0], first[1], second[1]):
                    return one + 1, other + 1
            elif segments_meet(*edges[one], *edges[other]):
                return one + 1, other + 1
    return None


def segments_meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Say whether the segments ab and cd have a point in common."""
    turns = side(a, b, c), side(a, b, d), side(c, d, a), side(c, d, b)
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    ends = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(turn == 0 and _between(*points) for turn, points in zip(turns, ends, strict=True))


def side(a: Point, b: Point, point: Point) -> float:
    """Return twice the signed area of the triangle: below 0 left of a → b, above 0 right of it, y pointing down."""
    return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])


def _between(a: Point, b: Point, point: Point) -> bool:
    """Say whether a point of the line through a and b lies between them."""
    return all(min(a[i], b[i]) <= point[i] <= max(a[i], b[i]) for i in (0, 1))


def _runs_back(a: Point, b: Point, c: Point) -> bool:
    """Say whether b → c leads back over a → b."""
    along = (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1])
    return side(a, b, c) == 0 and along < 0
