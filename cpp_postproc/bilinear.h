// Where an output pixel lies in the source grid: torch's `interpolate(mode="bilinear", align_corners=False)`.
#pragma once

#include <cstdint>

#include "scratch.h"
#include "views.h"

namespace segrt {

// value[i] = source[low[i]] * low_weight[i] + source[high[i]] * high_weight[i]. `low` never decreases.
struct Axis {
    Index source_length = 0, length = 0;
    const std::int32_t* low = nullptr;
    const std::int32_t* high = nullptr;
    const float* low_weight = nullptr;
    const float* high_weight = nullptr;
};

// Source coordinate of output pixel i: extent.begin + (i + 0.5) * (extent.end - extent.begin) / length - 0.5, in
// float32, at least 0; neighbours beyond the source are the edge pixel. With the whole extent this is bit-equal to
// torch. The tables have `padding` more entries than the axis, copies of the last, for kernels that work in blocks.
Axis bilinear_axis(ScratchFrame& frame, Index source_length, Extent extent, Index length, Index padding = 0);

// The entries [first, first + count) of the axis that shows a whole source on `length` pixels: what remains of a box
// that reaches out of the picture.
Axis bilinear_axis_part(ScratchFrame& frame, Index source_length, std::int64_t length, std::int64_t first, Index count,
                        Index padding = 0);

// Pillow's NEAREST: the source pixel that contains the centre of each output pixel.
const std::int32_t* nearest_axis(ScratchFrame& frame, Index source_length, Extent extent, Index length);

}  // namespace segrt
