// A small grid of values enlarged onto a part of the picture and cut at a threshold: what an instance mask is, whether
// it comes from a query, a box or prototypes.
#pragma once

#include <cstdint>
#include <vector>

#include "bilinear.h"
#include "views.h"

namespace segrt {

struct GridMask {
    const float* columns_of_grid = nullptr;  // value (row r, column c) of the grid at [c * rows.source_length + r]
    Axis rows, columns;                      // of the target rectangle
    Index top = 0, left = 0;                 // of the target rectangle in the picture
    float threshold = 0;                     // a pixel belongs to the mask when its value is above

    [[nodiscard]] bool empty() const { return rows.length <= 0 || columns.length <= 0; }
};

// The run lengths of the mask in a picture of height x width.
void encode_grid_mask(const GridMask& mask, Index height, Index width, std::vector<std::uint32_t>& counts);

// Sets the pixels of the target rectangle to 0 or 1.
void paint_grid_mask(const GridMask& mask, Map<std::uint8_t> picture);

}  // namespace segrt
