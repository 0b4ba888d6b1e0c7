// A small grid of values enlarged onto a part of the picture and cut at a threshold: what an instance mask is, whether
// it comes from a query, a box or prototypes.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"
#include "views.h"

namespace segrt {

// Readable floats that must follow a grid, so that kernels may load whole registers.
constexpr Index kGridPadding = kRowPadding;

// The mean probability of the logits above 0.
struct MeanProbability {
    double sum = 0;
    Index cells = 0;

    // torch's: the sum over the number of cells and a millionth, so that no cells give 0.
    [[nodiscard]] float value() const { return static_cast<float>(sum / (static_cast<double>(cells) + 1e-6)); }
};

// The run lengths of the mask in a picture of height x width. The grid lies column after column. With `mean`, of a mask
// of logits cut at 0, the mean over the picture's pixels is added; the row axis then has kBlock entries of padding.
void encode_grid_mask(const GridMask& mask, Index height, Index width, std::vector<std::uint32_t>& counts,
                      MeanProbability* mean = nullptr);

// Sets the pixels of the target rectangle to 0 or 1. The grid lies row after row; the column axis has kBlock padding.
void paint_grid_mask(const GridMask& mask, Map<std::uint8_t> picture);

}  // namespace segrt
