// Grids of numbers brought to the picture by way of the network's size.
#pragma once

#include <cstdint>

#include "views.h"

namespace segrt {

// Whole pixels [top, bottom) x [left, right).
struct Cut {
    Index top = 0, left = 0, bottom = 0, right = 0;
};

// Each image bilinearly to `way`, what lies outside `cut` taken away, and that bilinearly to `target` (detectron2's
// sem_seg_postprocess); values limited as the core's kernels read them. out: (count, target.height, target.width).
void resize_by_way(const FloatStack& stack, Size way, const Cut& cut, Size target, int threads, float* out);

}  // namespace segrt
