// Panoptic segmentation from class map, object centres and offsets to them: Panoptic-DeepLab.
#pragma once

#include <span>
#include <vector>

#include "segment.h"
#include "views.h"

namespace segrt {

struct GroupOptions {
    std::span<const std::int64_t> thing_classes;
    float threshold = 0.1F;
    Index nms_kernel = 7;
    Index top_k = 200;
    std::int64_t stuff_area_limit = 2048;
    int threads = 1;
};

// A centre is a cell of the heatmap above the threshold that is the largest within nms_kernel; of more than top_k,
// those above the top_k-th value. Each pixel of a thing class goes to the centre nearest to pixel + offset; an instance
// takes the class that most of its pixels have (the smallest of equal ones); stuff classes with at least
// stuff_area_limit pixels become segments, in ascending order. heatmap: shape (1, H, W); offsets: shape (2, H, W), y
// then x, in pixels. Returns how many values are not finite.
std::int64_t group_centers(const ClassMap& semantic, const FloatStack& heatmap, const FloatStack& offsets,
                           const GroupOptions& options, Map<std::int32_t> ids, std::vector<Segment>& segments);

}  // namespace segrt
