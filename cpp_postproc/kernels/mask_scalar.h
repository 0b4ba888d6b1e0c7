// The readable version of mask_fast.h: every row of every column.
#pragma once

#include <algorithm>
#include <cstdint>

#include "float_math.h"
#include "kernels.h"

namespace segrt {
namespace {

// Nothing is taken for clear.
inline void grid_sides(const float*, Index rows, float, Sides sides) {
    std::fill_n(sides.above, side_words(rows), std::uint64_t{0});
    std::fill_n(sides.below, side_words(rows), std::uint64_t{0});
}

inline Index column_changes(const GridMask& mask, Index x, const RowCells&, Sides, bool inside,
                            const ColumnMemory& memory, std::uint32_t start, std::uint32_t* positions) {
    const Index rows = mask.rows.source_length;
    const float* left = mask.grid + mask.columns.low[x] * rows;
    const float* right = mask.grid + mask.columns.high[x] * rows;
    float* column = memory.values;
    for (Index r = 0; r < rows; ++r) {
        column[r] = lerp(left[r], mask.columns.low_weight[x], right[r], mask.columns.high_weight[x]);
    }
    Index count = 0;
    for (Index y = 0; y < mask.rows.length; ++y) {
        const float value = lerp(column[mask.rows.low[y]], mask.rows.low_weight[y], column[mask.rows.high[y]],
                                 mask.rows.high_weight[y]);
        if ((value > mask.threshold) != inside) {
            inside = !inside;
            positions[count++] = start + static_cast<std::uint32_t>(y);
        }
    }
    return count;
}

inline void enlarge_row(const float* row, const Axis& columns, float* out, Index count) {
    for (Index x = 0; x < count; ++x) {
        out[x] = lerp(row[columns.low[x]], columns.low_weight[x], row[columns.high[x]], columns.high_weight[x]);
    }
}

inline void cut_row(const float* upper, float upper_weight, const float* lower, float lower_weight, float threshold,
                    std::uint8_t* out, Index count) {
    for (Index x = 0; x < count; ++x) {
        out[x] = lerp(upper[x], upper_weight, lower[x], lower_weight) > threshold ? 1 : 0;
    }
}

}  // namespace
}  // namespace segrt
