"""Chooses the best queries inside the graph, so that the heads are small: no threshold, static shapes.

Only what a query makes of the pixels is saved: a family gathers its query embeddings before it computes masks, so the
work of the other queries' masks is saved too.
"""

import torch

from segrt.export.family import Request
from segrt.runtime.errors import SegrtError


def choose_queries(class_logits: torch.Tensor, count: int) -> torch.Tensor:
    """Return the positions (N, count) of the queries with the best class scores, "no object" left out, ascending.

    `class_logits` is (N, Q, C+1) with "no object" last. The queries keep their order, by which merges settle ties and
    number segments. A merge that keeps at most `count` queries, each with a score above 0.5, loses none of them.
    """
    scores = class_logits.softmax(-1)[..., :-1].amax(-1)  # [N, Q]
    best = scores.topk(count, dim=-1).indices
    # Positions are sorted as floats, which are exact here: TensorRT's TopK on integers is younger than the rest.
    return -((-best.to(class_logits.dtype)).topk(count, dim=-1).values).to(torch.int64)


def gather_queries(rows: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Return the rows (N, K, D) of `rows` (N, Q, D) at `chosen` (N, K)."""
    return rows.gather(1, chosen[..., None].expand(-1, -1, rows.shape[-1]))


def checked_top_queries(request: Request, queries: int) -> int | None:
    """Return how many queries the graph keeps, None for all; raise SegrtError for a count that cannot be."""
    count = request.top_queries
    if count is None:
        return None
    if request.model.technique == "semantic":
        raise SegrtError(
            f"--top-queries {count}: {request.model.name} adds up all {queries} queries for its class map; leave it out"
        )
    if not 1 <= count <= queries:
        raise SegrtError(f"--top-queries {count}: {request.model.name} has {queries} queries; give 1 to {queries}")
    return None if count == queries else count
