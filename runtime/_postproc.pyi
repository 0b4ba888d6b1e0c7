"""Types of the compiled post-processing. Arrays are checked again in C++ and refused with ValueError."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]
_Size = tuple[int, int]
_Window = tuple[float, float, float, float] | None
_View = tuple[_Array, _Window, NDArray[np.float32] | None, NDArray[np.float32] | None]
_Segment = tuple[int, int, float, int, tuple[int, int, int, int], int]

def choose_kernels(name: str) -> None: ...
def kernels_name() -> str: ...
def kernels_features(name: str) -> list[str]: ...
def default_threads() -> int: ...
def merge_queries(
    class_logits: _Array,
    mask_logits: _Array,
    out: NDArray[np.int32],
    rule: str,
    score_threshold: float,
    overlap_threshold: float,
    stuff_classes: list[int],
    processed_size: _Size | None,
    window: _Window,
    compat: bool,
    threads: int,
) -> tuple[list[_Segment], int]: ...
def choose_segments(
    kept: NDArray[np.int32],
    scores: NDArray[np.float32],
    tallies: NDArray[np.int32],
    rule: str,
    overlap_threshold: float,
    stuff_classes: list[int],
) -> list[_Segment]: ...
def choose_detr_segments(
    kept: NDArray[np.int32],
    scores: NDArray[np.float32],
    tallies: NDArray[np.int32],
    stuff_classes: list[int],
    compat: bool,
    first_time: bool,
) -> tuple[list[int], list[_Segment]]: ...
def argmax_map(logits: _Array, out: _Array, window: _Window, processed_size: _Size | None, threads: int) -> int: ...
def binary_map(
    scores: _Array,
    out: NDArray[np.uint8],
    threshold: float,
    probabilities: bool,
    above: int,
    below: int,
    window: _Window,
    threads: int,
) -> int: ...
def query_instances(
    class_logits: _Array,
    mask_logits: _Array,
    size: _Size,
    top_k: int,
    score_threshold: float,
    activation: str,
    weigh_by_mask: bool,
    score_at: str,
    processed_size: _Size | None,
    window: _Window,
    threads: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], list[bytes], int]: ...
def lent_pictures(count: int, size: _Size) -> tuple[NDArray[np.bool_], bool]: ...
def paste_masks(
    masks: _Array, boxes: _Array, out: NDArray[np.bool_], zeroed: bool, threshold: float, rule: str, threads: int
) -> int: ...
def paste_masks_rle(
    masks: _Array, boxes: _Array, size: _Size, threshold: float, rule: str, threads: int
) -> tuple[list[bytes], int]: ...
def stepwise_masks_rle(
    masks: _Array, size: _Size, threshold: float, processed: _Size, window: _Window, threads: int
) -> tuple[list[bytes], int]: ...
def whole_masks_rle(
    masks: _Array, size: _Size, threshold: float, window: _Window, threads: int
) -> tuple[list[bytes], int]: ...
def encode_masks(masks: _Array, threads: int) -> list[bytes]: ...
def decode_masks(codes: list[bytes], out: NDArray[np.bool_], threads: int) -> None: ...
def count_overlaps(first: _Array, second: _Array, first_ids: list[int], second_ids: list[int]) -> NDArray[np.int64]: ...
def count_ids(map: _Array, ids: list[int]) -> NDArray[np.int64]: ...  # noqa: A002 (the core's name)
def ids_of_colors(image: NDArray[np.uint8], out: NDArray[np.int32]) -> None: ...
def runs_of_map(map: _Array, ids: list[int]) -> tuple[NDArray[np.int32], NDArray[np.int64]]: ...  # noqa: A002
def runs_of_codes(codes: list[bytes], size: _Size) -> tuple[NDArray[np.int32], NDArray[np.int64]]: ...
def take_runs(
    runs: NDArray[np.int32],
    starts: NDArray[np.int64],
    other_runs: NDArray[np.int32],
    other_starts: NDArray[np.int64],
    places: list[int],
) -> tuple[NDArray[np.int32], NDArray[np.int64]]: ...
def codes_of_runs(runs: NDArray[np.int32], starts: NDArray[np.int64], size: _Size) -> list[bytes]: ...
def measure_runs(runs: NDArray[np.int32], starts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
def count_shared(
    runs: NDArray[np.int32],
    starts: NDArray[np.int64],
    shifts: NDArray[np.int64],
    other_runs: NDArray[np.int32],
    other_starts: NDArray[np.int64],
) -> NDArray[np.int64]: ...
def paint_regions(
    image: NDArray[np.uint8],
    map: _Array,  # noqa: A002
    ids: list[int],
    values: NDArray[np.uint8],
    keep: float,
    light: NDArray[np.float32],
    painted: NDArray[np.uint8],
    reach: int,
    weights: list[int],
    out: NDArray[np.uint8],
) -> None: ...
def paint_objects(
    canvas: NDArray[np.uint8],
    runs: NDArray[np.int32],
    starts: NDArray[np.int64],
    by_columns: bool,
    weights: NDArray[np.uint16],
    places: list[int],
    tables: list[int],
    light: NDArray[np.uint8],
    keep: NDArray[np.uint8],
) -> None: ...
def paste_sprites(
    canvas: NDArray[np.uint8], sprites: list[tuple[NDArray[np.uint8], NDArray[np.uint8], int, int]]
) -> None: ...
def fit_tracks(
    tracks: tuple[NDArray[np.int32], NDArray[np.int64]],
    things: tuple[NDArray[np.int32], NDArray[np.int64]],
    by_columns: bool,
    size: _Size,
    known: NDArray[np.float64],
    predicted: NDArray[np.float64],
    seen: NDArray[np.float64],
    worth: tuple[float, float, float, float, float, float],
) -> NDArray[np.float64]: ...
def color_counts(
    image: NDArray[np.uint8], runs: NDArray[np.int32], starts: NDArray[np.int64], by_columns: bool, looked_at: int
) -> NDArray[np.float64]: ...
def predict_motion(
    state: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    time: tuple[float, float, float],
    lost: NDArray[np.bool_],
    model: tuple[float, float, float, float],
) -> None: ...
def correct_motion(
    state: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    rows: NDArray[np.int64],
    boxes: NDArray[np.float64],
    part: NDArray[np.bool_],
    model: tuple[float, float, float, float],
) -> None: ...
def predicted_tracks(
    state: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], turning: float
) -> NDArray[np.float64]: ...
def measure_codes(codes: list[bytes], size: _Size) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
def resize_antialias(image: NDArray[np.uint8], out: NDArray[np.uint8], cubic: bool, threads: int) -> None: ...
def resize_floor(image: NDArray[np.uint8], out: NDArray[np.uint8], threads: int) -> None: ...
def copy_picture(
    image: NDArray[np.uint8], out: NDArray[np.uint8], rows: NDArray[np.int32] | None, threads: int
) -> None: ...
def antialias_taps(
    source: int, target: int, cubic: bool
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]: ...
def resize_by_way(
    stack: _Array, out: NDArray[np.float32], way: _Size, cut: tuple[int, int, int, int], threads: int
) -> None: ...
def resize_normalize(
    image: NDArray[np.uint8],
    out: NDArray[np.float32],
    channel_axis: int,
    factor: tuple[float, ...],
    offset: tuple[float, ...],
    swap_rb: bool,
    threads: int,
) -> None: ...
def merge_semantic_instances(
    semantic: _Array,
    masks: _Array | list[bytes],
    scores: list[float],
    class_ids: list[int],
    out: NDArray[np.int32],
    score_threshold: float,
    overlap_threshold: float,
    stuff_area_limit: int,
    threads: int,
) -> list[_Segment]: ...
def group_centers(
    semantic: _Array,
    center_heatmap: _Array,
    offsets: _Array,
    out: NDArray[np.int32],
    thing_classes: list[int],
    threshold: float,
    nms_kernel: int,
    top_k: int,
    stuff_area_limit: int,
    threads: int,
) -> tuple[list[_Segment], int]: ...
def blend_map(
    tiles: list[_View], whole: _View | None, things: NDArray[np.uint8], shares: bool, out: NDArray[Any], threads: int
) -> None: ...
def query_semantic(
    class_logits: _Array,
    mask_logits: _Array,
    out: _Array,
    window: _Window,
    processed_size: _Size | None,
    threads: int,
) -> int: ...
def prototype_masks_rle(
    prototypes: _Array,
    coefficients: _Array,
    boxes: _Array,
    size: _Size,
    window: _Window,
    processed: _Size | None,
    compat: bool,
    threads: int,
) -> tuple[list[bytes], int]: ...
def decode_yolo(
    predictions: _Array,
    score_threshold: float,
    iou_threshold: float,
    max_detections: int,
    coefficients: int,
    agnostic: bool,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64], int]: ...
def matrix_nms(
    masks: _Array, scores: list[float], class_ids: list[int], kernel: str, sigma: float, threads: int
) -> NDArray[np.float32]: ...
