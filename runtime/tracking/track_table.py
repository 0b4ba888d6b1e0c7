"""All tracks of a video: a row of numbers each, so that a frame is taken in by all at once."""

from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from segrt.runtime.postproc import MaskRuns
from segrt.runtime.tracking.box_overlap import Floats
from segrt.runtime.tracking.followed_things import Things
from segrt.runtime.tracking.track import Track

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]

# `anchor` to `class_id` are what `TrackRows` wants to know, in its order.
_KNOWN = 10
_ROW = np.dtype(
    [
        ("anchor", np.float64, 2), ("area", np.float64), ("box", np.float64, 4), ("seen_at", np.float64, 2),
        ("class_id", np.float64), ("score", np.float64), ("born", np.float64), ("last_seen", np.float64),
        ("whole", np.float64), ("track_id", np.int64), ("place", np.int64), ("age", np.int64), ("seen", np.int64),
        ("mask", np.int64),
    ]
)  # fmt: skip


class TrackTable:
    """What a tracker keeps of N tracks beside their motion, in the order of their birth.

    `rows` (N,) has, of each: `track_id`, 0 until it is confirmed; `place`, which thing of the newest result it is, -1
    where it is lost; `box`, `class_id` and `score` of what was seen last, at the time `last_seen`, when the track's
    centre (x, y) was `seen_at`; `age` and `seen`, in frames. Of the whole thing, not of a part that stood out behind
    another, it has the `area` and the mask that were seen last, at the time `whole` and the centre `anchor`.

    `masks` are theirs, row by row; `colors` (N, 512) say how many pixels of each had which colour when it was whole,
    where colours count; `paths` have (seconds, x, y) of box centres.
    """

    def __init__(self) -> None:
        self.rows = np.zeros(0, _ROW)
        self.masks = MaskRuns.none()
        self.colors: Floats | None = None
        self.paths: list[deque[tuple[float, float, float]]] = []

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def known(self) -> Floats:
        """Anchor, area, box, the centre that it was seen at and class id of each, (N, 10)."""
        numbers = self.rows.view(np.float64).reshape(len(self), _ROW.itemsize // 8)
        return np.ascontiguousarray(numbers[:, :_KNOWN])

    @property
    def class_ids(self) -> Ints:
        """The class of each, (N,)."""
        return self.rows["class_id"].astype(np.intp)

    @property
    def lost(self) -> Bools:
        """Which were not seen in the newest frame, (N,)."""
        lost: Bools = self.rows["place"] < 0
        return lost

    @property
    def confirmed(self) -> Bools:
        """Which have an id, (N,)."""
        confirmed: Bools = self.rows["track_id"] > 0
        return confirmed

    def keep(self, kept: Bools) -> None:
        """Forget all tracks but those that are `kept` (N,)."""
        self.rows = self.rows[kept]
        self.colors = None if self.colors is None else self.colors[kept]
        self.paths = [path for path, keeps in zip(self.paths, kept.tolist(), strict=True) if keeps]

    def add(self, count: int, now: float, path_points: int) -> Ints:
        """Begin tracks, which must be seen whole then; return their rows."""
        begun = np.zeros(count, _ROW)
        begun["born"], begun["age"] = now, 1
        self.rows = np.concatenate((self.rows, begun))
        self.paths += [deque(maxlen=path_points) for _ in range(count)]
        return np.arange(len(self) - count, len(self))

    def see(self, rows: Ints, things: Things, columns: Ints, centres: Floats, now: float) -> None:
        """Take in the things of `columns` (K,), seen at `now`, by `rows`; the tracks' own centres are (K, 2) then."""
        table, boxes = self.rows, things.boxes[columns]
        for name, values in (
            ("class_id", things.class_ids[columns]), ("score", things.scores[columns]), ("box", boxes),
            ("place", things.places[columns]), ("seen_at", centres), ("last_seen", now),
        ):  # fmt: skip
            table[name][rows] = values
        table["seen"][rows] += 1
        for row, (x, y) in zip(rows.tolist(), ((boxes[:, :2] + boxes[:, 2:]) / 2).tolist(), strict=True):
            self.paths[row].append((now, x, y))

    def see_whole(self, rows: Ints, things: Things, columns: Ints, now: float) -> None:
        """Keep the masks of things that have just been seen as those of the whole objects."""
        table = self.rows
        table["anchor"][rows], table["area"][rows] = table["seen_at"][rows], things.areas[columns]
        table["whole"][rows], table["mask"][rows] = now, len(self.masks) + columns

    def masks_beside(self, things: Things) -> MaskRuns:
        """Return the masks; where there are none, none of the things' kind."""
        return self.masks if len(self.masks) else MaskRuns.none(by_columns=things.masks.by_columns)

    def gather_masks(self, things: Things) -> None:
        """Forget the masks that are no track's any more, and take in those of the things that were seen whole."""
        self.masks = self.masks_beside(things).taken(self.rows["mask"].tolist(), things.masks)
        self.rows["mask"] = np.arange(len(self))

    def shown(self, names: Sequence[str]) -> list[Track]:
        """Return what others may see of the tracks that have an id."""
        shown = []
        for row, path in zip(self.rows.tolist(), self.paths, strict=True):
            own = dict(zip(_ROW.names or (), row, strict=True))
            if own["track_id"]:
                class_id = int(own["class_id"])
                shown.append(
                    Track(
                        track_id=own["track_id"],
                        class_id=class_id,
                        name=names[class_id],
                        score=own["score"],
                        state="lost" if own["place"] < 0 else "tracked",
                        born=own["born"],
                        last_seen=own["last_seen"],
                        age=own["age"],
                        seen=own["seen"],
                        box=tuple(own["box"].tolist()),
                        path=tuple(path),
                    )
                )
        return shown
