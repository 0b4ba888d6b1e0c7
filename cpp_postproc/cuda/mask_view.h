// How grids of masks over the network's input are shown on the picture.
#pragma once

#include "mask_cut.h"

namespace segrt {
namespace {

// From the mask grid to the picture. Without a size in between, `rows` and `columns` lead from the grid itself.
struct View {
    AxisMap rows, columns, first_rows, first_columns;
    std::int32_t stepwise;  // whether there is a size in between

    [[nodiscard]] SEGRT_SHARED AxisMap grid_rows() const { return stepwise != 0 ? first_rows : rows; }

    [[nodiscard]] SEGRT_SHARED AxisMap grid_columns() const { return stepwise != 0 ? first_columns : columns; }
};

template <class Grid>
SEGRT_SHARED OneStep<Grid> one_step(const Grid& grid, const View& view) {
    return {grid, view.rows, view.columns};
}

template <First first, class Grid>
SEGRT_SHARED TwoSteps<first, Grid> two_steps(const Grid& grid, const View& view) {
    return {grid, view.rows, view.columns, view.first_rows, view.first_columns};
}

// The first target that looks at the source or beyond it; `low` and `high` of an axis never decrease.
SEGRT_SHARED std::int32_t first_that_reaches(const AxisMap& axis, std::int32_t source) {
    std::int32_t begin = 0, end = axis.length;
    while (begin < end) {
        const std::int32_t middle = (begin + end) / 2;
        if (axis.at(middle).high < source) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

// The first target that looks beyond the source alone.
SEGRT_SHARED std::int32_t first_beyond(const AxisMap& axis, std::int32_t source) {
    std::int32_t begin = 0, end = axis.length;
    while (begin < end) {
        const std::int32_t middle = (begin + end) / 2;
        if (axis.at(middle).low <= source) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

// The part of the targets that looks at a part of the sources.
SEGRT_SHARED PixelRect targets_of(const AxisMap& rows, const AxisMap& columns, PixelRect sources) {
    if (sources.empty()) {
        return {0, 0, 0, 0};
    }
    return {first_that_reaches(columns, sources.left), first_that_reaches(rows, sources.top),
            first_beyond(columns, sources.right - 1), first_beyond(rows, sources.bottom - 1)};
}

}  // namespace
}  // namespace segrt
