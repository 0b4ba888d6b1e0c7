// How many pixels under each mask have which colour: what things look like.
#pragma once

#include <cstdint>
#include <span>

#include "mask_runs.h"
#include "overlay.h"

namespace segrt {

constexpr Index kColorLevels = 8;  // of blue, green and red each
constexpr Index kColors = kColorLevels * kColorLevels * kColorLevels;

// Adds up, for each mask, its pixels by colour, blue first: `counts` has shape (masks, kColors), row-major, and is
// overwritten. A pixel counts for the eight colours around its own, by nearness. Of a mask of more than `looked_at`
// pixels every k-th stands for all. Throws std::invalid_argument for a run that is not inside the picture.
void color_counts(const PictureView& image, const MaskRunsView& masks, bool by_columns, Index looked_at,
                  std::span<double> counts);

}  // namespace segrt
