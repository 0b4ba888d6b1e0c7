"""One picture into the inputs of two networks, each of its own size and resize rule."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from segrt.runtime.bundle.manifest import Manifest
from segrt.runtime.bundle.members import member_manifest, prefixed
from segrt.runtime.preprocess.geometry import Geometry
from segrt.runtime.preprocess.picture import Picture, fill_inputs


@dataclass(frozen=True)
class MemberGeometry(Geometry):
    """Where a picture lies in the inputs of all members, by name; in itself it is the first member's."""

    members: Mapping[str, Geometry] = field(default_factory=dict)


def fill_members(
    image: Picture, manifest: Manifest, views: Mapping[str, npt.NDArray[Any]], index: int = 0, *, threads: int = 0
) -> MemberGeometry:
    """Write `image` (uint8 BGR (H, W, 3)) into place `index` of every member's inputs in `views`."""
    geometries = {}
    for member in manifest.members:
        inputs = member_manifest(manifest, member).inputs
        own = {spec.name: views[prefixed(member.name, spec.name)] for spec in inputs}
        geometries[member.name] = fill_inputs(image, inputs, own, index, threads=threads)
    first = geometries[manifest.members[0].name]
    return MemberGeometry(first.source_size, first.network_size, first.window, geometries)
