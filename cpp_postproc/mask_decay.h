// How Matrix NMS lowers the score of a mask that overlaps a better one.
#pragma once

#include "float_math.h"

namespace segrt {
namespace {

// The share of pixels that are in both masks among those in either.
SEGRT_SHARED float share_in_both(std::int64_t both, std::int64_t either) {
    return either == 0 ? 0.0F : static_cast<float>(both) / static_cast<float>(either);
}

// `overlap` with the better mask, which itself is overlapped by `worst` at most by those that are better still.
SEGRT_SHARED float mask_decay(bool gaussian, float sigma, float overlap, float worst) {
    return gaussian ? exp_float(-sigma * (overlap * overlap - worst * worst)) : (1.0F - overlap) / (1.0F - worst);
}

}  // namespace
}  // namespace segrt
