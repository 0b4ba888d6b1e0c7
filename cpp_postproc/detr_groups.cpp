#include "detr_groups.h"

namespace segrt {
namespace {

constexpr std::int64_t kSmallestArea = 5;

}  // namespace

void find_groups(std::span<const ScoredQuery> kept, const QuerySegments& segments, bool fuse_stuff,
                 std::span<std::size_t> group) {
    for (std::size_t k = 0; k < kept.size(); ++k) {
        group[k] = k;
        for (std::size_t j = 0; fuse_stuff && j < k && segments.is_stuff(kept[k].class_id); ++j) {
            if (kept[j].class_id == kept[k].class_id) {
                group[k] = j;
                break;
            }
        }
    }
}

bool is_large_enough(std::size_t k, std::span<const std::size_t> group, std::span<const Region> regions, bool compat) {
    return regions[compat ? k : group[k]].area >= kSmallestArea;
}

void append_groups(std::span<const ScoredQuery> kept, std::span<const std::size_t> group,
                   std::span<const Region> regions, QuerySegments& segments, std::span<std::int32_t> ids) {
    for (std::size_t k = 0; k < kept.size(); ++k) {
        if (group[k] == k) {
            ids[k] = segments.append(kept[k], regions[k]);
        } else {
            ids[k] = ids[group[k]];
            segments.take_better_score(ids[k], kept[k]);
        }
    }
}

}  // namespace segrt
