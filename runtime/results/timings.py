"""How long a frame took."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timings:
    """Milliseconds of one frame in the three steps of a segmenter."""

    preprocess_ms: float
    inference_ms: float
    postprocess_ms: float

    @property
    def total_ms(self) -> float:
        """The sum of the three steps, in milliseconds."""
        return self.preprocess_ms + self.inference_ms + self.postprocess_ms
