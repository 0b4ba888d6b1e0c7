// The segments that queries become, one for each query or one for each class of stuff.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "class_scores.h"
#include "segment.h"

namespace segrt {

class QuerySegments {
public:
    QuerySegments(std::span<const std::int64_t> stuff_classes, std::vector<Segment>& segments)
        : stuff_classes_(stuff_classes), segments_(segments) {}

    [[nodiscard]] bool is_stuff(std::int32_t class_id) const;

    // Appends a segment of its own and returns its id.
    std::int32_t append(const ScoredQuery& query, const Region& region);

    // Appends the segment, or fuses it with the earlier one of the same stuff class. Returns its id.
    std::int32_t add(const ScoredQuery& query, const Region& region);

    // transformers' DETR, MaskFormer and Mask2Former: after a fused repeat the counter falls back to the repeated id,
    // so that later segments share ids; one entry per query.
    std::int32_t add_compat(const ScoredQuery& query, const Region& region);

    // The segment `id` has this query's score, too: it keeps the better one, and the query that it comes from.
    void take_better_score(std::int32_t id, const ScoredQuery& query);

private:
    std::span<const std::int64_t> stuff_classes_;
    std::vector<Segment>& segments_;
};

}  // namespace segrt
