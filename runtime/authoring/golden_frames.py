"""Writes golden frames into a bundle in the making."""

from segrt.runtime.bundle.bundle_writer import BundleWriter
from segrt.runtime.bundle.golden import GoldenOutputs, pack_golden
from segrt.runtime.bundle.manifest import Golden
from segrt.runtime.files.images import Picture, encode_image


def add_golden(writer: BundleWriter, name: str, picture: Picture, outputs: GoldenOutputs) -> Golden:
    """Write the golden frame `name`: a picture, uint8 BGR (H, W, 3), and what is expected of it; return its entry."""
    return Golden(
        name,
        writer.add(f"golden/{name}.png", encode_image(picture, ".png")),
        writer.add(f"golden/{name}.npz", pack_golden(outputs)),
    )
