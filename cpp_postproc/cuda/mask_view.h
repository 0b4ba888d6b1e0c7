// How grids of masks over the network's input are shown on the picture.
#pragma once

#include "mask_cut.h"

namespace segrt {
namespace {

// From the mask grid to the picture. Without a size in between, `rows` and `columns` lead from the grid itself.
struct View {
    AxisMap rows, columns, first_rows, first_columns;
    std::int32_t stepwise;  // whether there is a size in between

    [[nodiscard]] SEGRT_SHARED const AxisMap& grid_rows() const { return stepwise != 0 ? first_rows : rows; }

    [[nodiscard]] SEGRT_SHARED const AxisMap& grid_columns() const { return stepwise != 0 ? first_columns : columns; }
};

template <class Grid>
SEGRT_SHARED OneStep<Grid> one_step(const Grid& grid, const View& view) {
    return {grid, view.rows, view.columns};
}

template <class Grid>
SEGRT_SHARED TwoSteps<Grid> two_steps(const Grid& grid, const View& view) {
    return {grid, view.rows, view.columns, view.first_rows, view.first_columns};
}

}  // namespace
}  // namespace segrt
