// grid_mask.cpp on the GPU: a grid enlarged onto the picture and cut at a threshold, as bits.
#pragma once

#include "axis.h"
#include "block.h"
#include "heads.h"
#include "mask_bits.h"

namespace segrt {
namespace {

// A block of kCutWarps warps makes a row of words; each warp 32 columns of it.
constexpr std::int32_t kCutWarps = 8;
constexpr std::int32_t kCutColumns = 32 * kCutWarps;

// A grid of (rows, columns) values as the network gives them.
template <class T>
struct HeadGrid {
    const T* values;
    std::int32_t columns;

    [[nodiscard]] SEGRT_SHARED float at(std::int32_t row, std::int32_t column) const {
        return read(values[static_cast<std::int64_t>(row) * columns + column]);
    }
};

// A mask on the picture's axes: value(row, tap) is the value of a source row at a target column.
template <class Grid>
struct OneStep {
    Grid grid;
    AxisMap rows, columns;

    // What a target column looks at.
    using Column = Tap;

    [[nodiscard]] SEGRT_SHARED Column column(std::int32_t x) const { return columns.at(x); }

    [[nodiscard]] SEGRT_SHARED float value(std::int32_t row, const Column& at) const {
        return lerp(grid.at(row, at.low), at.low_weight, grid.at(row, at.high), at.high_weight);
    }

    // The grid's cells that lie beneath source rows and columns.
    [[nodiscard]] SEGRT_SHARED PixelRect cells(std::int32_t top, std::int32_t bottom, std::int32_t left,
                                               std::int32_t right) const {
        return {left, top, right, bottom};
    }
};

// Which way the first of two steps interpolates first: it rounds differently.
enum class First { across, down };

// The same over a size in between: `first_rows` and `first_columns` lead from the grid to what is shown of that.
template <First first, class Grid>
struct TwoSteps {
    Grid grid;
    AxisMap rows, columns, first_rows, first_columns;

    struct Column {
        std::int32_t low, high;
        float low_weight, high_weight;
        Tap of_low, of_high;
    };

    [[nodiscard]] SEGRT_SHARED Column column(std::int32_t x) const {
        const Tap at = columns.at(x);
        return {at.low, at.high, at.low_weight, at.high_weight, first_columns.at(at.low), first_columns.at(at.high)};
    }

    // The value between the grid's cells.
    [[nodiscard]] SEGRT_SHARED float between(const Tap& row, const Tap& column) const {
        const float upper_left = grid.at(row.low, column.low), upper_right = grid.at(row.low, column.high);
        const float lower_left = grid.at(row.high, column.low), lower_right = grid.at(row.high, column.high);
        if constexpr (first == First::across) {
            return lerp(lerp(upper_left, column.low_weight, upper_right, column.high_weight), row.low_weight,
                        lerp(lower_left, column.low_weight, lower_right, column.high_weight), row.high_weight);
        } else {
            return lerp(lerp(upper_left, row.low_weight, lower_left, row.high_weight), column.low_weight,
                        lerp(upper_right, row.low_weight, lower_right, row.high_weight), column.high_weight);
        }
    }

    [[nodiscard]] SEGRT_SHARED float value(std::int32_t row, const Column& at) const {
        const Tap tap = first_rows.at(row);
        return lerp(between(tap, at.of_low), at.low_weight, between(tap, at.of_high), at.high_weight);
    }

    [[nodiscard]] SEGRT_SHARED PixelRect cells(std::int32_t top, std::int32_t bottom, std::int32_t left,
                                               std::int32_t right) const {
        return {first_columns.at(left).low, first_rows.at(top).low, first_columns.at(right - 1).high + 1,
                first_rows.at(bottom - 1).high + 1};
    }
};

// Interpolation rounds: values this close (as a share of the largest cell) to the threshold are not decided by the
// cells around; and the smallest numbers round by more than their share.
constexpr float kCutSlack = 4e-6F;
constexpr float kCutTiny = 1e-37F;

// Looking at more cells would take longer than the arithmetic: there are nearly as many as pixels.
constexpr std::int32_t kMostCells = 512;

enum class Side { below, above, both };

// On which side of the threshold all pixels lie that are interpolated from these cells; the warp's lanes call it
// together. Saves the arithmetic where a mask's edge is not near.
template <class Grid>
SEGRT_SHARED Side side_of(const Grid& grid, PixelRect cells, float threshold) {
    const std::int32_t wide = cells.right - cells.left, count = wide * (cells.bottom - cells.top);
    if (count > kMostCells) {
        return Side::both;
    }
    float low = kLargest, high = -kLargest;
    for (auto i = static_cast<std::int32_t>(threadIdx.x); i < count; i += 32) {
        const float value = grid.at(cells.top + i / wide, cells.left + i % wide);
        low = min(low, value);
        high = max(high, value);
    }
    low = warp_least(low);
    high = warp_most(high);
    const float slack = kCutSlack * max(-low, high) + kCutTiny;
    if (high + slack <= threshold) {
        return Side::below;
    }
    return low - slack > threshold ? Side::above : Side::both;
}

// Writes the words of one row of words that touch the mask's reach. The mask's axes count target pixels from
// (origin_y, origin_x). Grid (ceil(width / 256), rows of words, masks), block (32, 8): all threads call it together.
template <class Mask>
SEGRT_SHARED void cut_mask(const Mask& mask, std::int32_t origin_y, std::int32_t origin_x, float threshold,
                           const MaskBits& bits, std::int32_t number) {
    const PixelRect reach = bits.reach[number];
    const auto word_row = static_cast<std::int32_t>(blockIdx.y);
    const std::int32_t top = max(word_row * kWordRows, reach.top);
    const std::int32_t bottom = min((word_row + 1) * kWordRows, reach.bottom);
    const auto block_left = static_cast<std::int32_t>(blockIdx.x) * kCutColumns;
    if (reach.empty() || top >= bottom || block_left >= reach.right || block_left + kCutColumns <= reach.left) {
        return;
    }
    __shared__ Tap rows[kWordRows];
    if (threadIdx.y == 0) {
        const std::int32_t y = top + static_cast<std::int32_t>(threadIdx.x);
        if (y < bottom) {
            rows[threadIdx.x] = mask.rows.at(y - origin_y);
        }
    }
    __syncthreads();
    const std::int32_t warp_left = block_left + static_cast<std::int32_t>(threadIdx.y) * 32;
    const std::int32_t first = max(warp_left, reach.left), end = min(warp_left + 32, reach.right);
    if (first >= end) {
        return;
    }
    const std::int32_t x = warp_left + static_cast<std::int32_t>(threadIdx.x);
    const std::int32_t count = bottom - top;
    const PixelRect cells = mask.cells(rows[0].low, rows[count - 1].high + 1, mask.columns.at(first - origin_x).low,
                                       mask.columns.at(end - 1 - origin_x).high + 1);
    const Side side = side_of(mask.grid, cells, threshold);
    if (x < first || x >= end) {
        return;
    }
    const std::int32_t shift = top - word_row * kWordRows;
    std::uint32_t word = side == Side::above ? bits_between(shift, shift + count) : 0;
    if (side == Side::both) {
        const auto column = mask.column(x - origin_x);
        std::int32_t low = -1, high = -1;
        float upper = 0, lower = 0;
        for (std::int32_t i = 0; i < count; ++i) {
            const Tap row = rows[i];
            if (row.low != low) {  // the same for the whole warp
                upper = row.low == high ? lower : mask.value(row.low, column);
                lower = row.high == row.low ? upper : mask.value(row.high, column);
                low = row.low;
                high = row.high;
            }
            const float value = lerp(upper, row.low_weight, lower, row.high_weight);
            word |= (value > threshold ? 1U : 0U) << (shift + i);
        }
    }
    bits.row(number, word_row)[x] = word;
}

}  // namespace
}  // namespace segrt
