// Panoptic segmentation from queries: MaskFormer, Mask2Former, EoMT and DETR.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "segment.h"
#include "views.h"

namespace segrt {

enum class MergeRule { maskformer, mask2former, eomt, detr };

struct MergeOptions {
    MergeRule rule = MergeRule::maskformer;
    float score_threshold = 0.5F;
    double overlap_threshold = 0.8;
    std::span<const std::int64_t> stuff_classes;
    std::optional<Size> processed_size;  // masks are resized to this first
    std::optional<Window> window;
    bool compat = false;
    int threads = 1;
};

// Writes `ids` (0 is void) and `segments`; returns how many values that were read are not finite.
// class_logits: shape (queries, classes + 1), the last being "no object"; mask_logits: shape (queries, h, w).
std::int64_t merge_queries(const FloatTable& class_logits, const FloatStack& mask_logits, const MergeOptions& options,
                           Map<std::int32_t> ids, std::vector<Segment>& segments);

}  // namespace segrt
