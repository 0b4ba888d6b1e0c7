"""What a profiler says of one layer, before it is brought together with the network's nodes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RawLayer:
    """A layer of an executed network: its own name, the kind of its work, its mean time for a frame in milliseconds.

    `nodes` are the ONNX nodes that it executes, () where the profiler does not say; then `name` tells. `precision` is
    "float16" for instance, "" if unknown.
    """

    name: str
    kind: str
    mean_ms: float
    precision: str = ""
    nodes: tuple[str, ...] = ()
