"""Argument checks of the post-processing: every refusal names the argument, the value met and what it must be."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segrt.runtime.errors import SegrtError
from segrt.runtime.threads import MOST_THREADS

Size = tuple[int, int]
Window = tuple[float, float, float, float]


class ArgumentError(SegrtError, ValueError):
    """A wrong argument: the message names it, the value met and the remedy."""


def describe(value: object) -> str:
    """The dtype and shape of an array, or the type of anything else."""
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__


def check_floats(name: str, value: object, shape: str, rank: int) -> None:
    """Refuse what is not a float32 or float16 array of `rank` dimensions, or has an empty grid."""
    if not isinstance(value, np.ndarray) or value.ndim != rank or value.dtype not in (np.float32, np.float16):
        raise ArgumentError(f"{name} must be float32 or float16 with shape {shape}, got {describe(value)}")
    if rank == 3 and 0 in value.shape[1:]:
        raise ArgumentError(f"{name} must have shape {shape} with h and w at least 1, got {value.shape}")


def check_same_queries(class_logits: NDArray[Any], mask_logits: NDArray[Any]) -> None:
    """Refuse heads of different numbers of queries."""
    if class_logits.shape[0] != mask_logits.shape[0]:
        raise ArgumentError(
            "class_logits and mask_logits must have the same number of queries, "
            f"got {class_logits.shape[0]} and {mask_logits.shape[0]}"
        )


def check_queries(class_logits: NDArray[Any], mask_logits: NDArray[Any]) -> None:
    """Refuse heads that are no queries, or have no class beside "no object"."""
    check_floats("class_logits", class_logits, "(Q, C+1)", 2)
    check_floats("mask_logits", mask_logits, "(Q, h, w)", 3)
    check_same_queries(class_logits, mask_logits)
    if class_logits.shape[1] < 2:
        raise ArgumentError(
            f"class_logits must have a class beside the last column, no object, got {class_logits.shape}"
        )


def check_boxes(name: str, masks: NDArray[Any], boxes: NDArray[Any]) -> None:
    """Refuse masks that are not (N, m, m) floats, and boxes that are not (N, 4) floats."""
    check_floats(name, masks, "(N, m, m)", 3)
    check_floats("boxes", boxes, "(N, 4)", 2)
    if boxes.shape != (masks.shape[0], 4):
        raise ArgumentError(
            f"boxes must have shape {(masks.shape[0], 4)} as {name} has {len(masks)}, got {boxes.shape}"
        )


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not among the choices."""
    if value not in choices:
        raise ArgumentError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def checked_size(name: str, size: Sequence[int]) -> Size:
    """The size as two ints, each at least 1, together below 2**31 pixels."""
    try:
        height, width = (int(edge) for edge in size)
        whole = (height, width) == tuple(size)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must be (height, width), got {size!r}") from None
    if not whole or height < 1 or width < 1 or max(height, width) > 1 << 20 or height * width >= 1 << 31:
        raise ArgumentError(f"{name} must be (height, width), at least 1 and below 2**31 pixels in all, got {size!r}")
    return height, width


def checked_processed_size(size: Sequence[int] | None) -> Size | None:
    """The size to which a grid is enlarged before the picture's, if any."""
    return None if size is None else checked_size("processed_size", size)


def checked_out(out: NDArray[Any] | None, size: Size, dtype: np.dtype[Any]) -> NDArray[Any]:
    """`out`, or a new array; refused when its dtype, shape or rows do not fit."""
    if out is None:
        return np.empty(size, dtype)
    if not isinstance(out, np.ndarray) or out.dtype != dtype or out.shape != size or not out.flags.writeable:
        raise ArgumentError(f"out must be writable {dtype} with shape {size}, got {describe(out)}")
    if (size[1] > 1 and out.strides[1] != dtype.itemsize) or out.strides[0] % dtype.itemsize:
        raise ArgumentError(f"out must have contiguous rows, got strides {out.strides}")
    return out


def checked_window(window: Window | None, grid: Sequence[int]) -> Window | None:
    """The window as four floats, refused when empty or outside the grid (height, width)."""
    if window is None:
        return None
    try:
        top, left, bottom, right = (float(edge) for edge in window)
    except (TypeError, ValueError):
        raise ArgumentError(f"window must be (top, left, bottom, right), got {window!r}") from None
    if not (0 <= top < bottom <= grid[0] and 0 <= left < right <= grid[1]):
        raise ArgumentError(f"window must be (top, left, bottom, right) within the grid {tuple(grid)}, got {window!r}")
    return top, left, bottom, right


def checked_threads(threads: int) -> int:
    """The number of threads, 0 to `MOST_THREADS`."""
    if not 0 <= threads <= MOST_THREADS:
        raise ArgumentError(f"threads must be between 0 (the default number) and {MOST_THREADS}, got {threads}")
    return int(threads)


def class_list(name: str, classes: Iterable[int]) -> list[int]:
    """Class ids as a list of ints."""
    try:
        return [int(c) for c in classes]
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must be class ids, got {classes!r}") from None


def check_classes(name: str, value: object) -> None:
    """Refuse what is not a class map (H, W) of an integer type the core reads."""
    if (
        not isinstance(value, np.ndarray)
        or value.ndim != 2
        or value.dtype not in (np.uint8, np.uint16, np.int32, np.int64)
    ):
        raise ArgumentError(f"{name} must be uint8, uint16, int32 or int64 with shape (H, W), got {describe(value)}")


def check_ids(name: str, value: object) -> None:
    """Refuse what is neither a label map (H, W) of an integer type that is counted in place nor a picture of ids."""
    if isinstance(value, np.ndarray):
        if value.ndim == 2 and value.dtype in (np.uint8, np.uint16, np.int32):
            return
        if value.ndim == 3 and value.dtype == np.uint8 and value.shape[2] in (3, 4) and value.strides[2] == 1:
            return
    raise ArgumentError(
        f"{name} must be uint8, uint16 or int32 with shape (H, W), or a uint8 picture of ids, got {describe(value)}"
    )


def check_masks(name: str, value: object) -> None:
    """Refuse what is not a stack of bool or uint8 masks."""
    if not isinstance(value, np.ndarray) or value.dtype not in (np.bool_, np.uint8) or value.ndim != 3:
        raise ArgumentError(f"{name} must be bool or uint8 with shape (N, H, W), got {describe(value)}")


def checked_vector(name: str, value: Any, length: int, kind: str) -> list[Any]:
    """A vector as a list of floats (kind "f") or ints (kind "i"), one for each of `length` masks."""
    array = np.asarray(value)
    if array.size == 0:
        array = array.astype(np.int64)
    fits = array.dtype.kind in ("iu" if kind == "i" else "iuf")
    if array.shape != (length,) or not fits:
        wanted = "integers" if kind == "i" else "numbers"
        raise ArgumentError(f"{name} must be {wanted} with shape ({length},), one per mask, got {describe(array)}")
    values: list[Any] = array.tolist()
    return values
