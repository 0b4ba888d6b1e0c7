// Object centres in a heatmap, and which of them a pixel points to.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "views.h"

namespace segrt {

struct Center {
    float y, x, heat;
};

struct CenterSearch {
    float threshold;
    Index nms_kernel, top_k;
    int threads;
};

// The cells above the threshold that are the largest within nms_kernel, row by row; of more than top_k, those above the
// top_k-th value. heat: shape (height, width), contiguous.
void find_centers(const float* heat, Size size, const CenterSearch& search, std::vector<Center>& centers);

// Pixels that nearest_centers looks at together, at most.
constexpr Index kCenterStep = 64;

// For `count` pixels of row y from column x on: 1 + the centre nearest to where each points; the first of equal ones.
void nearest_centers(std::span<const Center> centers, Index y, Index x, const float* offset_y, const float* offset_x,
                     Index count, std::int32_t* nearest);

}  // namespace segrt
