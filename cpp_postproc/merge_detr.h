// DETR's own rule of panoptic segmentation: a part of merge_queries.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "class_scores.h"
#include "merge_queries.h"
#include "query_masks.h"
#include "scratch.h"

namespace segrt {

// facebookresearch/detr's PostProcessPanoptic: argmax of the logits at the processed size, nearest neighbour to the
// target, and segments of at most four pixels given to others until none is left. Queries of one stuff class are one
// segment. The original fuses stuff only the first time, onto the first query: the others then have no area, are
// dropped, and their region goes to whoever is next (compat).
//
// `masks` are of the processed size, where there is one. Returns how many of their values that were read are not
// finite.
std::int64_t merge_detr(ScratchFrame& frame, const QueryMasks& masks, std::span<ScoredQuery> kept,
                        const MergeOptions& options, Map<std::int32_t> ids, std::vector<Segment>& segments);

}  // namespace segrt
