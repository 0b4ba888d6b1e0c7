"""How sinks write: what the command line says for all of them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SinkOptions:
    """`segment_seconds`: begin a new file so often; `keep_bytes`: delete the oldest files of a sink above so much.

    `live`: results come from a camera, so files must be whole up to the moment. `token` is what a live page asks for;
    `edits`: zones that are drawn in it may be saved, so it always asks. `rle`: put masks into lines and messages.
    """

    segment_seconds: float | None = None
    keep_bytes: int | None = None
    live: bool = False
    token: str | None = None
    rle: bool = False
    edits: bool = False
