"""Post-processing of segmentation networks at source size, in C++.

Heads are float32 or float16 arrays in any strides (a batch item or a transposed view is read in place). `size` is the
(height, width) of the result in pixels. `threads` is the most threads a call uses; 0 means all processors this process
may use, or the environment variable SEGRT_THREADS. The interpreter lock is released while the core works.

Interpolation is torch's `interpolate(mode="bilinear", align_corners=False)`. `window` is the part of the head's grid
that shows the picture, as (top, left, bottom, right) in grid pixels, fractions allowed: source coordinate of output
pixel x is left + (x + 0.5) * (right - left) / width - 0.5. None means the whole grid.

Values that are not finite have a defined effect: NaN counts as the lowest number, infinities as the largest of their
sign. `report`, when given, counts those that were read.

Wrong arguments raise `ArgumentError`, which is a `SegrtError` and a `ValueError`; so does importing this with a
SEGRT_THREADS that is no number from 1 to 256.
"""

from segrt.runtime.postproc.arguments import ArgumentError
from segrt.runtime.postproc.blending import ScoreView, blend_map
from segrt.runtime.postproc.box_masks import (
    paste_masks,
    paste_masks_rle,
    prototype_masks_rle,
    stepwise_masks_rle,
    whole_masks_rle,
)
from segrt.runtime.postproc.class_maps import argmax_map, binary_map, query_semantic
from segrt.runtime.postproc.core import core
from segrt.runtime.postproc.labelled import KEPT, choose_detr_segments, choose_segments
from segrt.runtime.postproc.mask_colors import color_counts
from segrt.runtime.postproc.mask_runs import MaskRuns
from segrt.runtime.postproc.objects import decode_yolo, matrix_nms, query_instances_rle
from segrt.runtime.postproc.overlaps import count_ids, count_overlaps, ids_of_colors
from segrt.runtime.postproc.painting import ObjectColors, RegionTints, paint_objects, paint_regions, paste_sprites
from segrt.runtime.postproc.resizing import (
    antialias_taps,
    copy_picture,
    resize_antialias,
    resize_by_way,
    resize_floor,
    resize_normalize,
)
from segrt.runtime.postproc.run_lengths import decode_rle, encode_rle, measure_rle
from segrt.runtime.postproc.segments import group_centers, merge_queries, merge_semantic_instances
from segrt.runtime.postproc.track_fits import FitWorth, TrackRows, fit_tracks
from segrt.runtime.postproc.track_motion import MotionModel, MotionState
from segrt.runtime.postproc.types import MergedSegment, QueryInstances, Report, Rle, YoloDetections

__all__ = [
    "KEPT",
    "ArgumentError",
    "FitWorth",
    "MaskRuns",
    "MergedSegment",
    "MotionModel",
    "MotionState",
    "ObjectColors",
    "QueryInstances",
    "RegionTints",
    "Report",
    "Rle",
    "ScoreView",
    "TrackRows",
    "YoloDetections",
    "antialias_taps",
    "argmax_map",
    "binary_map",
    "blend_map",
    "choose_detr_segments",
    "choose_segments",
    "color_counts",
    "copy_picture",
    "count_ids",
    "count_overlaps",
    "decode_rle",
    "decode_yolo",
    "encode_rle",
    "fit_tracks",
    "group_centers",
    "ids_of_colors",
    "matrix_nms",
    "measure_rle",
    "merge_queries",
    "merge_semantic_instances",
    "paint_objects",
    "paint_regions",
    "paste_masks",
    "paste_masks_rle",
    "paste_sprites",
    "prototype_masks_rle",
    "query_instances_rle",
    "query_semantic",
    "resize_antialias",
    "resize_by_way",
    "resize_floor",
    "resize_normalize",
    "stepwise_masks_rle",
    "whole_masks_rle",
]

try:
    core.default_threads()
except ValueError as error:
    raise ArgumentError(str(error)) from None
