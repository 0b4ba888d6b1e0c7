// One segment of a panoptic map.
#pragma once

#include <algorithm>
#include <cstdint>

#include "views.h"

namespace segrt {

struct Segment {
    std::int32_t id = 0;
    std::int32_t class_id = 0;
    float score = 0;
    std::int64_t area = 0;
    std::int32_t left = 0, top = 0, width = 0, height = 0;
    std::int32_t query = 0;  // the query, instance or centre it comes from; -1 for stuff without one
};

// Pixels counted and boxed, row by row.
struct Region {
    std::int64_t area = 0;
    std::int32_t left = INT32_MAX, top = INT32_MAX, right = -1, bottom = -1;  // inclusive

    // Adds the pixels of row y that lie within [first, last]; both ends belong to the region.
    void add_row(Index y, Index first, Index last, std::int64_t pixels) {
        area += pixels;
        left = std::min(left, static_cast<std::int32_t>(first));
        right = std::max(right, static_cast<std::int32_t>(last));
        top = std::min(top, static_cast<std::int32_t>(y));
        bottom = std::max(bottom, static_cast<std::int32_t>(y));
    }

    void add(const Region& other) {
        area += other.area;
        left = std::min(left, other.left);
        top = std::min(top, other.top);
        right = std::max(right, other.right);
        bottom = std::max(bottom, other.bottom);
    }

    [[nodiscard]] Segment segment(std::int32_t id, std::int32_t class_id, float score, std::int32_t query) const {
        const bool empty = area == 0;
        return {.id = id,
                .class_id = class_id,
                .score = score,
                .area = area,
                .left = empty ? 0 : left,
                .top = empty ? 0 : top,
                .width = empty ? 0 : right - left + 1,
                .height = empty ? 0 : bottom - top + 1,
                .query = query};
    }
};

}  // namespace segrt
