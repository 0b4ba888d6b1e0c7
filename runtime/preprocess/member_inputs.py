"""One picture into the inputs of two networks, each of its own size and resize rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from segrt.runtime.files.images import Picture
from segrt.runtime.inference.tensors import prefixed
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.input_spec import InputSpec
from segrt.runtime.preprocess.picture import fill_inputs


@dataclass(frozen=True)
class MemberGeometry(Geometry):
    """Where a picture lies in the inputs of all members, by name; in itself it is the first member's."""

    members: Mapping[str, Geometry] = field(default_factory=dict)

    def __hash__(self) -> int:
        """Return a hash of all members' geometries."""
        return hash(tuple(self.members.items()))


def fill_members(
    image: Picture,
    specs: Mapping[str, Sequence[InputSpec]],
    views: Mapping[str, npt.NDArray[Any]],
    index: int = 0,
    *,
    threads: int = 0,
) -> MemberGeometry:
    """Write `image` (uint8 BGR (H, W, 3)) into place `index` of every member's inputs in `views`.

    `specs` maps a member's name to its inputs, whose names are its own; in `views` the member's name stands before.
    """
    geometries = {}
    for member, inputs in specs.items():
        own_views = {spec.name: views[prefixed(member, spec.name)] for spec in inputs}
        geometries[member] = fill_inputs(image, inputs, own_views, index, threads=threads)
    first = next(iter(geometries.values()))
    return MemberGeometry(first.source_size, first.network_size, first.window, geometries)
