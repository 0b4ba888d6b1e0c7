// Where a target pixel lies in the source grid, as bilinear_axis and bilinear_axis_part of the core say it.
#pragma once

#include "device.h"
#include "tap.h"

namespace segrt {
namespace {

// The axis that shows the extent [begin, begin + scale * length) of a source on `length` pixels, from its pixel
// `first`.
struct AxisMap {
    float begin, scale;
    std::int32_t source_length, length, first;

    [[nodiscard]] SEGRT_SHARED Tap at(std::int32_t i) const {
        const float centre = static_cast<float>(first + i) + 0.5F;
        return tap_at(begin + (scale * centre - 0.5F), source_length - 1);
    }
};

}  // namespace
}  // namespace segrt
