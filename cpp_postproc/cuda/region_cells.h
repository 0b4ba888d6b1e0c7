// The cells of a grid that lie under a rectangle of target pixels, and those that a block holds of them.
#pragma once

#include "grids.h"

namespace segrt {
namespace {

// Cells [top, top + height) x [left, left + width).
struct CellRectangle {
    std::int32_t top, left, height, width;

    [[nodiscard]] SEGRT_SHARED std::int32_t cells() const { return height * width; }
};

// The cells between which the target pixels [y, y_end) x [x, x_end) lie.
SEGRT_SHARED CellRectangle cells_under(const TargetTaps& target, std::int32_t y, std::int32_t y_end, std::int32_t x,
                                       std::int32_t x_end) {
    const std::int32_t top = target.rows[y].low, left = target.columns[x].low;
    return {top, left, target.rows[y_end - 1].high - top + 1, target.columns[x_end - 1].high - left + 1};
}

// Cells of channels from `first` on in shared memory, [channel][row][column]; channels lie an odd number of floats
// apart, so that lanes that read a cell of different channels meet different banks.
struct Cells {
    CellRectangle held;
    const float* values;
    std::int32_t first;

    [[nodiscard]] SEGRT_SHARED std::int32_t stride() const { return held.cells() | 1; }
    [[nodiscard]] SEGRT_SHARED float cell(std::int32_t k, std::int32_t y, std::int32_t x) const {
        return values[k * stride() + (y - held.top) * held.width + (x - held.left)];
    }
};

}  // namespace
}  // namespace segrt
