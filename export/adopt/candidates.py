"""What a network may be where the signs do not agree: the readings of it, each with the option that states it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segrt.runtime.errors import SegrtError


@dataclass(frozen=True)
class Candidate:
    """One reading: the option as it is typed, "" for the guess itself, and what it sets in `AdoptOptions`."""

    typed: str
    options: Mapping[str, Any]


class UndecidedError(SegrtError):
    """Signs that do not agree; the text is one line that lists the candidates."""

    def __init__(self, question: str, candidates: Sequence[Candidate]) -> None:
        super().__init__(f"{question}; add {' or '.join(candidate.typed for candidate in candidates)}")
        self.candidates = tuple(candidates)
