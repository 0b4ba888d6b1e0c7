// Arithmetic on the edges of boxes: how much two overlap, and which whole pixels or cells they hold.
#pragma once

#include "float_math.h"

namespace segrt {
namespace {

// Intersection over union of two boxes with left, top, right and bottom; 0 where they do not meet.
template <class Box>
SEGRT_SHARED float intersection_over_union(const Box& a, const Box& b) {
    const float left = a.left < b.left ? b.left : a.left, right = b.right < a.right ? b.right : a.right;
    const float top = a.top < b.top ? b.top : a.top, bottom = b.bottom < a.bottom ? b.bottom : a.bottom;
    const float width = right - left, height = bottom - top;
    if (width <= 0 || height <= 0) {
        return 0;
    }
    const float both = width * height;
    const float area_a = (a.right - a.left) * (a.bottom - a.top), area_b = (b.right - b.left) * (b.bottom - b.top);
    return both / (area_a + area_b - both);
}

// The first whole number that is not below the edge, from 0 to `length`.
SEGRT_SHARED std::int32_t whole_from(float edge, std::int32_t length) {
    const float up = ceilf(edge), limit = static_cast<float>(length);
    return static_cast<std::int32_t>(up < 0.0F ? 0.0F : (limit < up ? limit : up));
}

// The place in a grid of an edge in picture pixels.
SEGRT_SHARED float grid_edge(float edge, float first, float ratio) {
    return first + edge * ratio;
}

}  // namespace
}  // namespace segrt
