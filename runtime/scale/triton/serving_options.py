"""How a bundle is served: what a server's configuration says of it, and what the model in the server reads."""

from dataclasses import dataclass
from typing import Literal

import msgspec

Kind = Literal["cpu", "gpu"]
BUNDLE, SERVING = "bundle", "serving.json"
"""What lies in a version's folder beside model.py: the bundle, and how it is opened."""

INSTANCES = 2
"""Of a single instance Triton's batcher, as seen in 2.51, misses a picture that comes while the last answer leaves, and
looks again half a second later."""


@dataclass(frozen=True)
class ServingOptions:
    """What `segrt export-triton` is told.

    name: the model's, None for the bundle's own; kind: what the network runs on; gpus: their numbers, none for all;
    instances: copies of the model (on each GPU), see `INSTANCES`; batch: most pictures in the network at once, None for
    the default; queue: most pictures that wait; queue_delay: seconds that a picture may wait for others to come;
    versions: how many of the newest are served; environment: EXECUTION_ENV_PATH, a packed Python environment.
    """

    name: str | None = None
    kind: Kind = "cpu"
    gpus: tuple[int, ...] = ()
    instances: int = INSTANCES
    batch: int | None = None
    queue: int = 64
    queue_delay: float = 0.0
    versions: int = 1
    environment: str | None = None
    precision: str | None = None
    backend: str = "auto"
    threads: int = 0


class Serving(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`serving.json` of a version: how the model in the server opens the bundle beside it."""

    segrt: str
    precision: str
    backend: str
    threads: int
    batch: int


def batch_sizes(most: int) -> tuple[int, ...]:
    """Return the batches that a model keeps ready, the largest first: powers of two, and the most itself."""
    sizes = {most}
    size = 1
    while size < most:
        sizes.add(size)
        size *= 2
    return tuple(sorted(sizes, reverse=True))
