"""What is compared: bundles × precisions × backends × thread counts × picture sizes."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segrt.runtime.errors import SegrtError
from segrt.runtime.inference.engine_policy import EnginePolicy
from segrt.runtime.inference.execution import WantedPlace
from segrt.runtime.segmenter import Segmenter, find_bundle, open_segmenter

Size = tuple[int, int]


@dataclass(frozen=True)
class Candidate:
    """One combination; `size` is the pictures' (H, W), None for the source's own; `threads` 0 means the default.

    `decode_on` is what decodes heads, as `open_bundle` takes it.
    """

    bundle: str
    precision: str
    backend: str = "auto"
    threads: int = 0
    size: Size | None = None
    engines: EnginePolicy = field(default_factory=EnginePolicy)
    decode_on: WantedPlace = "auto"

    @property
    def name(self) -> str:
        """The bundle's name, or its folder's."""
        return Path(self.bundle).name or self.bundle

    def open(self) -> Segmenter:
        """Open it; raise BundleError or BackendError."""
        return open_segmenter(
            find_bundle(self.bundle),
            backend=self.backend,
            precision=self.precision,
            threads=self.threads,
            engines=self.engines,
            decode_on=self.decode_on,
            trial_prompt=True,
        )


def matrix(
    bundles: Sequence[str],
    precisions: Sequence[str] = (),
    backends: Sequence[str] = ("auto",),
    threads: Sequence[int] = (0,),
    sizes: Sequence[Size] = (),
    engines: EnginePolicy | None = None,
    decode_on: WantedPlace = "auto",
) -> list[Candidate]:
    """Return every combination; a bundle that lacks a precision is taken with those that it has.

    Without `precisions` each bundle's first variant is taken. Raises SegrtError when a bundle has none of them.
    """
    candidates = []
    for bundle in dict.fromkeys(bundles):
        variants = find_bundle(bundle).precisions
        chosen = [name for name in precisions if name in variants] if precisions else variants[:1]
        if not chosen:
            raise SegrtError(
                f"--precision {','.join(precisions)}: {bundle} has none of these, only {', '.join(variants)}; "
                "`segrt quantize` makes others"
            )
        candidates += [
            Candidate(bundle, *combination, engines=engines or EnginePolicy(), decode_on=decode_on)
            for combination in itertools.product(chosen, backends, threads, sizes or (None,))
        ]
    return candidates
