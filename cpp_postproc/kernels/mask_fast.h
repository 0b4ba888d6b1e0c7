// Inner loops of enlarged masks. See fast_table.h for how this file is compiled.
#pragma once

#include "float_math.h"
#include "kernels.h"
#include "kernels/interpolate.h"

namespace segrt {
namespace {

// Interpolation rounds: a value this close (as a share of itself) to the threshold is not decided by its corners.
constexpr float kSideSlack = 2e-6F;

inline void active_columns(const GridMask& mask, std::uint8_t* active) {
    const Index rows = mask.rows.source_length;
    for (Index c = 0; c < mask.columns.source_length; ++c) {
        const float* column = mask.grid + c * rows;
        std::int32_t above = 0;
        for (Index r = 0; r < rows; ++r) {
            above |= fused(kSideSlack, __builtin_fabsf(column[r]), column[r]) > mask.threshold ? 1 : 0;
        }
        active[c] = static_cast<std::uint8_t>(above);
    }
}

// Between two grid rows that lie clearly on one side of the threshold, so do all target rows; only elsewhere are they
// evaluated one by one.
inline Index column_changes(const GridMask& mask, Index x, const std::int32_t* row_starts, float* column,
                            std::uint8_t* sides, std::int32_t* changes) {
    constexpr std::uint8_t kAbove = 1, kBelow = 2;
    const Index rows = mask.rows.source_length;
    const float* left = mask.grid + mask.columns.low[x] * rows;
    const float* right = mask.grid + mask.columns.high[x] * rows;
    const float left_weight = mask.columns.low_weight[x], right_weight = mask.columns.high_weight[x];
    const float threshold = mask.threshold;
    for (Index r = 0; r < rows; ++r) {
        column[r] = lerp(left[r], left_weight, right[r], right_weight);
    }
    for (Index r = 0; r < rows; ++r) {
        const float slack = kSideSlack * __builtin_fabsf(column[r]);
        const std::int32_t above = column[r] - slack > threshold ? kAbove : 0;
        const std::int32_t below = column[r] + slack <= threshold ? kBelow : 0;
        sides[r] = static_cast<std::uint8_t>(above | below);
    }
    sides[rows] = sides[rows - 1];
    Index count = 0;
    bool inside = false;
    Index r = 0;
    while (r < rows) {
        const std::uint8_t here = inside ? kAbove : kBelow;
        // Skip what stays on this side, eight grid rows at a time.
        std::uint64_t next;
        while (r + 9 <= rows) {
            std::memcpy(&next, sides + r + 1, sizeof next);
            if (sides[r] != here || next != 0x0101010101010101U * here) {
                break;
            }
            r += 8;
        }
        const std::uint8_t both = sides[r] & sides[r + 1];
        if (both == 0) {
            for (Index y = row_starts[r]; y < row_starts[r + 1]; ++y) {
                const float value = lerp(column[mask.rows.low[y]], mask.rows.low_weight[y], column[mask.rows.high[y]],
                                         mask.rows.high_weight[y]);
                if ((value > threshold) != inside) {
                    inside = !inside;
                    changes[count++] = static_cast<std::int32_t>(y);
                }
            }
        } else if (both != here && row_starts[r] < row_starts[r + 1]) {
            inside = !inside;
            changes[count++] = row_starts[r];
        }
        ++r;
    }
    return count;
}

inline void enlarge_row(const float* row, const Axis& columns, float* out, Index count) {
    interpolate_row(row, columns.low, columns.high, columns.low_weight, columns.high_weight, out, count);
}

inline void cut_row(const float* upper, float upper_weight, const float* lower, float lower_weight, float threshold,
                    std::uint8_t* out, Index count) {
    for (Index x = 0; x < count; ++x) {
        out[x] = lerp(upper[x], upper_weight, lower[x], lower_weight) > threshold ? 1 : 0;
    }
}

}  // namespace
}  // namespace segrt
