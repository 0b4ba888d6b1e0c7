#include "query_segments.h"

#include <algorithm>

namespace segrt {
namespace {

Segment new_segment(std::int32_t id, const ScoredQuery& query, const Region& region) {
    return region.segment(id, query.class_id, query.score, query.query);
}

void keep_better(Segment& segment, float score, std::int32_t query) {
    if (score > segment.score) {
        segment.score = score;
        segment.query = query;
    }
}

// A fused segment covers both boxes and has the score and the query of the more confident one.
void fuse(Segment& segment, const Segment& other) {
    const std::int32_t right = std::max(segment.left + segment.width, other.left + other.width);
    const std::int32_t bottom = std::max(segment.top + segment.height, other.top + other.height);
    segment.left = std::min(segment.left, other.left);
    segment.top = std::min(segment.top, other.top);
    segment.width = right - segment.left;
    segment.height = bottom - segment.top;
    segment.area += other.area;
    keep_better(segment, other.score, other.query);
}

}  // namespace

bool QuerySegments::is_stuff(std::int32_t class_id) const {
    return std::find(stuff_classes_.begin(), stuff_classes_.end(), class_id) != stuff_classes_.end();
}

std::int32_t QuerySegments::append(const ScoredQuery& query, const Region& region) {
    const auto id = static_cast<std::int32_t>(segments_.size()) + 1;
    segments_.push_back(new_segment(id, query, region));
    return id;
}

std::int32_t QuerySegments::add(const ScoredQuery& query, const Region& region) {
    if (is_stuff(query.class_id)) {
        for (Segment& earlier : segments_) {
            if (earlier.class_id == query.class_id) {
                fuse(earlier, new_segment(earlier.id, query, region));
                return earlier.id;
            }
        }
    }
    return append(query, region);
}

std::int32_t QuerySegments::add_compat(const ScoredQuery& query, const Region& region) {
    std::int32_t id = segments_.empty() ? 1 : segments_.back().id + 1;
    if (is_stuff(query.class_id)) {
        for (const Segment& earlier : segments_) {
            id = earlier.class_id == query.class_id ? earlier.id : id;
        }
    }
    segments_.push_back(new_segment(id, query, region));
    return id;
}

void QuerySegments::take_better_score(std::int32_t id, const ScoredQuery& query) {
    keep_better(segments_[static_cast<std::size_t>(id - 1)], query.score, query.query);
}

}  // namespace segrt
