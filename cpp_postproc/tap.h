// Which two source pixels an output pixel lies between: torch's `interpolate(mode="bilinear", align_corners=False)`.
#pragma once

#include "float_math.h"

namespace segrt {
namespace {

// Two neighbours on an axis and their weights.
struct Tap {
    std::int32_t low, high;
    float low_weight, high_weight;
};

// The neighbours of a source position; beyond the source, whose last pixel is `last`, they are the edge pixel.
SEGRT_SHARED Tap tap_at(float position, std::int32_t last) {
    position = position < 0.0F ? 0.0F : position;
    const float limit = static_cast<float>(last);
    const auto whole = static_cast<std::int32_t>(position < limit ? position : limit);
    const float beyond = position - static_cast<float>(whole);
    const float fraction = beyond < 1.0F ? beyond : 1.0F;
    return {whole, whole < last ? whole + 1 : last, 1.0F - fraction, fraction};
}

}  // namespace
}  // namespace segrt
