"""Writes golden frames into a bundle in the making."""

from segrt.runtime.bundle.bundle_writer import BundleWriter
from segrt.runtime.bundle.golden import GoldenOutputs, pack_golden
from segrt.runtime.bundle.manifest import Golden
from segrt.runtime.files.images import encode_image
from segrt.runtime.files.npz_files import pack_npy
from segrt.runtime.preprocess.channels import Raster, is_picture


def add_golden(writer: BundleWriter, name: str, picture: Raster, outputs: GoldenOutputs) -> Golden:
    """Write the golden frame `name`: a picture and what is expected of it; return its entry.

    A picture of uint8 BGR (H, W, 3) becomes a PNG, another array an NPY.
    """
    suffix, data = (".png", encode_image(picture, ".png")) if is_picture(picture) else (".npy", pack_npy(picture))
    return Golden(
        name,
        writer.add(f"golden/{name}{suffix}", data),
        writer.add(f"golden/{name}.npz", pack_golden(outputs)),
    )
