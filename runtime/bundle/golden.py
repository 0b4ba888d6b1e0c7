"""Golden frames: what the source framework made of a small picture, kept beside the network.

The NPZ holds `head_ROLE` arrays without the batch axis, `live_queries` (for query heads: the positions, in the source
framework's output, of the queries that are kept; the dead ones are not stored) and the decoded result: `class_map`,
or `segment_ids`, `ids`, `class_ids`, `scores`, or `masks` (packed bits), `class_ids`, `scores`, `boxes`. Large float32
heads are stored as float16, those of `UNSTORED_ROLES` not at all.
"""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.manifest import Golden, Manifest
from segrt.runtime.errors import BundleError, one_line
from segrt.runtime.files.images import read_image
from segrt.runtime.files.npz_files import read_npz
from segrt.runtime.files.rasters import ARRAYS, read_raster
from segrt.runtime.files.reading import read_bytes
from segrt.runtime.inference.tensors import Array
from segrt.runtime.results import InstanceResult, Label, PanopticResult, Result, Segment, SemanticResult, rle

QUERY_ROLES = ("class_logits", "mask_logits")
# Tens of megabytes a frame: the masks of the result stand for them.
UNSTORED_ROLES = ("mask_probabilities",)
HALF_EPSILON = 2.0**-11
_HALF_ABOVE = 64 << 10
_MOST_FILE = 256 << 20
_MOST_OBJECTS = 1 << 16
_MOST_VARIABLE = 256 << 20  # bytes of an array whose lengths the manifest leaves open, and of masks
_NUMBER = 8  # bytes


@dataclass(frozen=True)
class GoldenOutputs:
    """Heads by role, without batch axis, only the live queries where `live` is set, and the decoded result."""

    heads: Mapping[str, Array]
    result: Result
    live: npt.NDArray[np.int64] | None = None


def read_golden(bundle: Bundle, golden: Golden) -> tuple[Array, GoldenOutputs]:
    """Return the picture (uint8 BGR (H, W, 3), or the array of an NPY file) and outputs of a golden frame.

    Raises BundleError for a damaged one.
    """
    picture = bundle.checked(golden.image)
    image = read_raster(picture) if picture.suffix in ARRAYS else read_image(picture)
    path = bundle.checked(golden.outputs)
    size = (image.shape[0], image.shape[1])
    manifest = bundle.manifest
    try:
        arrays = read_npz(read_bytes(path, _MOST_FILE), _largest(manifest, size))
        result = _unpack_result(arrays, size, manifest.technique, manifest.labels)
        if result.size != size:
            raise ValueError(f"its result is of a picture of {list(result.size)}, but the picture is {list(size)}")
        heads = {name.removeprefix("head_"): array for name, array in arrays.items() if name.startswith("head_")}
        live = arrays.get("live_queries")
        _check_live(heads, live)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); write the bundle again") from None
    except LookupError as error:
        raise BundleError(f"{path}: is no golden frame (it lacks {one_line(error)}); write the bundle again") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise BundleError(f"{path}: is no golden frame ({one_line(error)}); write the bundle again") from None
    return image, GoldenOutputs(heads, result, live)


def _largest(manifest: Manifest, size: tuple[int, int]) -> dict[str, int]:
    """Return the most bytes that each array of a golden frame can have, by the manifest and the picture's (H, W)."""
    pixels, objects = size[0] * size[1] * _NUMBER, _MOST_OBJECTS * _NUMBER
    largest = {
        "class_map": pixels,
        "segment_ids": pixels,
        "ids": objects,
        "class_ids": objects,
        "scores": objects,
        "boxes": 4 * objects,
        "masks": _MOST_VARIABLE,
        "live_queries": objects,
    }
    for head in manifest.heads:
        lengths = [length for length in head.shape[1:] if isinstance(length, int)]
        is_fixed = len(lengths) == len(head.shape) - 1
        largest[f"head_{head.role}"] = math.prod(lengths) * _NUMBER if is_fixed else _MOST_VARIABLE
    return largest


def _check_live(heads: Mapping[str, Array], live: "npt.NDArray[np.int64] | None") -> None:
    """Raise ValueError unless the heads of queries hold the live ones alone."""
    if live is None:
        return
    if live.ndim != 1 or live.dtype.kind not in "iu":
        raise ValueError(f"live_queries must be integers (Q,), but is {live.dtype} {list(live.shape)}")
    for role in QUERY_ROLES:
        if role in heads and (heads[role].ndim < 2 or len(heads[role]) != len(live)):
            raise ValueError(f"head_{role} has shape {list(heads[role].shape)}, but there are {len(live)} live queries")


def pack_golden(outputs: GoldenOutputs) -> bytes:
    """Return `outputs` as the bytes of an NPZ file."""
    arrays: dict[str, Array] = {}
    for role, array in outputs.heads.items():
        half = array.dtype == np.float32 and array.nbytes > _HALF_ABOVE
        arrays[f"head_{role}"] = array.astype(np.float16) if half else array
    if outputs.live is not None:
        arrays["live_queries"] = outputs.live
    arrays |= _pack_result(outputs.result)
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for its own
    return file.getvalue()


def _pack_result(result: Result) -> dict[str, Array]:
    if isinstance(result, SemanticResult):
        return {"class_map": result.class_map}
    if isinstance(result, PanopticResult):
        return {
            "segment_ids": result.segment_ids,
            "ids": np.array([segment.id for segment in result.segments], np.int64),
            "class_ids": np.array([segment.class_id for segment in result.segments], np.int64),
            "scores": np.array([segment.score for segment in result.segments], np.float32),
        }
    return {
        "masks": np.packbits(result.masks, axis=-1),
        "class_ids": np.asarray(result.class_ids, np.int64),
        "scores": result.scores,
        "boxes": result.boxes,
    }


def _unpack_result(
    arrays: Mapping[str, Array], size: tuple[int, int], technique: str, labels: tuple[Label, ...]
) -> Result:
    if technique == "semantic":
        return SemanticResult(arrays["class_map"], labels)
    if technique == "panoptic":
        ids = arrays["segment_ids"]
        described = zip(arrays["ids"].tolist(), arrays["class_ids"].tolist(), arrays["scores"].tolist(), strict=True)
        segments = [
            Segment(index, class_id, labels[class_id].isthing, score, int((ids == index).sum()), (0, 0, 0, 0))
            for index, class_id, score in described
        ]
        return PanopticResult(ids, segments, labels)
    masks = arrays["masks"]
    if masks.dtype != np.uint8 or masks.shape[1:] != (size[0], -(-size[1] // 8)):
        raise ValueError(f"masks are {masks.dtype} {list(masks.shape)}, not packed bits of the picture's size")
    rles = [rle.encode(np.unpackbits(mask, axis=-1, count=size[1])) for mask in masks]
    return InstanceResult(arrays["boxes"], arrays["scores"], arrays["class_ids"], rles, size, labels)
