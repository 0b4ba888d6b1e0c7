// Panoptic segmentation from a class map and instance masks: the heuristic of Panoptic FPN.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "segment.h"
#include "views.h"

namespace segrt {

struct InstanceMergeOptions {
    float score_threshold = 0.5F;
    double overlap_threshold = 0.5;
    std::int64_t stuff_area_limit = 4096;
    int threads = 1;
};

// detectron2's combine_semantic_and_instance_outputs: instances by descending score (equal ones in input order) paint
// the pixels that are free, unless more than overlap_threshold of them is taken; then every class but 0 that has at
// least stuff_area_limit free pixels becomes a segment, in ascending order. NaN scores count as below the threshold.
void merge_semantic_instances(const ClassMap& semantic, const MaskStack& masks, std::span<const float> scores,
                              std::span<const std::int64_t> class_ids, const InstanceMergeOptions& options,
                              Map<std::int32_t> ids, std::vector<Segment>& segments);

// The same of masks as COCO's run-length codes, which are never made into pictures. Throws std::invalid_argument for
// one that does not describe ids' size.
void merge_semantic_instances(const ClassMap& semantic, std::span<const std::string> codes,
                              std::span<const float> scores, std::span<const std::int64_t> class_ids,
                              const InstanceMergeOptions& options, Map<std::int32_t> ids,
                              std::vector<Segment>& segments);

}  // namespace segrt
