// Parts of an axis of interpolation: some of its target pixels, from the source cells that these need alone.
#pragma once

#include <algorithm>
#include <cstdint>

#include "bilinear.h"
#include "scratch.h"
#include "views.h"

namespace segrt {

// Whole pixels or cells [begin, end).
struct Stretch {
    Index begin = 0, end = 0;

    [[nodiscard]] Index length() const { return end - begin; }
};

// The whole pixels that an extent touches, at least one.
[[nodiscard]] inline Stretch touched(Extent extent, Index length) {
    const Index begin = std::clamp(static_cast<Index>(extent.begin), Index{0}, length - 1);
    return {begin, std::clamp(static_cast<Index>(extent.end + 0.999), begin + 1, length)};
}

// The extent as counted from the stretch's begin.
[[nodiscard]] inline Extent shifted(Extent extent, Stretch stretch) {
    return {extent.begin - static_cast<double>(stretch.begin), extent.end - static_cast<double>(stretch.begin)};
}

// The axis for these targets alone; its sources are still those of the whole.
[[nodiscard]] inline Axis part_of(Axis axis, Stretch targets) {
    axis.low += targets.begin;
    axis.high += targets.begin;
    axis.low_weight += targets.begin;
    axis.high_weight += targets.begin;
    axis.length = targets.length();
    return axis;
}

// The sources that so many targets, at least one, are interpolated from.
[[nodiscard]] inline Stretch sources_of(const Axis& axis, Stretch targets) {
    return {axis.low[targets.begin], axis.high[targets.end - 1] + 1};
}

// The axis for these targets, with sources counted from `sources.begin`.
[[nodiscard]] inline Axis rebased(ScratchFrame& frame, const Axis& axis, Stretch targets, Stretch sources) {
    Axis part = part_of(axis, targets);
    const auto low = frame.take<std::int32_t>(part.length), high = frame.take<std::int32_t>(part.length);
    const auto begin = static_cast<std::int32_t>(sources.begin);
    std::transform(part.low, part.low + part.length, low.begin(), [begin](std::int32_t at) { return at - begin; });
    std::transform(part.high, part.high + part.length, high.begin(), [begin](std::int32_t at) { return at - begin; });
    part.low = low.data();
    part.high = high.data();
    part.source_length = sources.length();
    return part;
}

}  // namespace segrt
