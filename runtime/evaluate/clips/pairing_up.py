"""One-to-one assignment with the highest sum of scores."""

import numpy as np
import numpy.typing as npt

Pairs = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def best_pairs(scores: npt.NDArray[np.float64]) -> Pairs:
    """Return rows and columns of the assignment with the highest sum of `scores` (N, M), each at least 0.

    Pairs of score 0 are left out; rows ascend. Where several assignments are equally good, one of them is returned.
    """
    positive = scores > 0
    alone = positive & (positive.sum(axis=1) == 1)[:, None] & (positive.sum(axis=0) == 1)
    rows, columns = np.nonzero(alone)
    left, right = positive & ~alone, alone
    open_rows = np.flatnonzero(left.any(axis=1) & ~right.any(axis=1))
    open_columns = np.flatnonzero(left.any(axis=0) & ~right.any(axis=0))
    if len(open_rows):
        more_rows, more_columns = _hungarian(scores[np.ix_(open_rows, open_columns)])
        rows = np.concatenate([rows, open_rows[more_rows]])
        columns = np.concatenate([columns, open_columns[more_columns]])
    order = np.argsort(rows)
    rows, columns = rows[order], columns[order]
    kept = scores[rows, columns] > 0
    return rows[kept].astype(np.int64), columns[kept].astype(np.int64)


def _hungarian(scores: npt.NDArray[np.float64]) -> Pairs:
    """Assign each row of the shorter side by shortest augmenting paths (Jonker and Volgenant 1987)."""
    turned = scores.shape[0] > scores.shape[1]
    costs = -(scores.T if turned else scores)
    count, width = costs.shape
    row_price = np.zeros(count)
    column_price = np.zeros(width)
    row_of = np.full(width, -1, np.int64)
    for start in range(count):
        distance = np.full(width, np.inf)
        came_from = np.full(width, -1, np.int64)
        done = np.zeros(width, np.bool_)
        row, last, reached = start, -1, 0.0
        path_rows = [(start, 0.0)]
        while True:
            through = reached + costs[row] - row_price[row] - column_price
            closer = ~done & (through < distance)
            distance[closer] = through[closer]
            came_from[closer] = last
            last = int(np.argmin(np.where(done, np.inf, distance)))
            reached = float(distance[last])
            done[last] = True
            if row_of[last] < 0:
                break
            row = int(row_of[last])
            path_rows.append((row, reached))
        for each, at in path_rows:
            row_price[each] += reached - at
        column_price[done] -= reached - distance[done]
        while last >= 0:
            before = int(came_from[last])
            row_of[last] = start if before < 0 else row_of[before]
            last = before
    columns = np.flatnonzero(row_of >= 0)
    rows = row_of[columns]
    return (columns, rows) if turned else (rows, columns)
