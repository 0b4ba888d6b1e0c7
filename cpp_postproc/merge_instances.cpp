#include "merge_instances.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "packed_instances.h"
#include "scratch.h"
#include "stuff.h"

namespace segrt {
namespace {

// Instances are packed together, this many at most, which bounds the memory for their bits.
constexpr Index kBatch = 16;

void check_counts(const ClassMap& semantic, std::size_t masks, std::span<const float> scores,
                  std::span<const std::int64_t> class_ids, Map<std::int32_t> ids) {
    if (semantic.height != ids.height || semantic.width != ids.width) {
        throw std::invalid_argument("semantic and out must have the same shape");
    }
    if (scores.size() != masks || class_ids.size() != masks) {
        throw std::invalid_argument("scores and class_ids must have one number for each mask");
    }
}

void merge_masks(const ClassMap& semantic, const MaskSource& masks, std::span<const float> scores,
                 std::span<const std::int64_t> class_ids, const InstanceMergeOptions& options, Map<std::int32_t> ids,
                 std::vector<Segment>& segments) {
    const std::size_t count = scores.size();
    segments.clear();
    ScratchFrame frame;
    const auto taken = frame.filled<std::uint64_t>(ids.height * ((ids.width + 63) / 64), 0);
    const auto order = frame.take<std::size_t>(static_cast<Index>(count));
    std::size_t candidates = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (scores[i] >= options.score_threshold) {
            order[candidates++] = i;
        }
    }
    std::sort(order.begin(), order.begin() + static_cast<Index>(candidates),
              [&](std::size_t a, std::size_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
    const Index largest_batch = std::min(static_cast<Index>(candidates), kBatch);
    PackedInstances merge(masks, ids, taken, largest_batch, options.threads);
    const auto ids_of_batch = frame.take<std::int32_t>(largest_batch);
    const auto claims = frame.take<Claimed>(largest_batch);
    for (std::size_t begin = 0; begin < candidates; begin += static_cast<std::size_t>(kBatch)) {
        const auto batch = order.subspan(begin, std::min(candidates - begin, static_cast<std::size_t>(kBatch)));
        merge.pack(batch);
        merge.claim(options.overlap_threshold, claims.first(batch.size()));
        for (std::size_t k = 0; k < batch.size(); ++k) {
            ids_of_batch[k] = 0;
            if (claims[k].stands) {
                const auto id = static_cast<std::int32_t>(segments.size()) + 1;
                const std::size_t i = batch[k];
                ids_of_batch[k] = id;
                segments.push_back(claims[k].region.segment(id, static_cast<std::int32_t>(class_ids[i]), scores[i],
                                                            static_cast<std::int32_t>(i)));
            }
        }
        merge.paint(ids_of_batch.first(batch.size()));
    }
    add_free_stuff(semantic, taken, options.stuff_area_limit, options.threads, ids, segments);
}

}  // namespace

void merge_semantic_instances(const ClassMap& semantic, const MaskStack& masks, std::span<const float> scores,
                              std::span<const std::int64_t> class_ids, const InstanceMergeOptions& options,
                              Map<std::int32_t> ids, std::vector<Segment>& segments) {
    check_counts(semantic, static_cast<std::size_t>(masks.count), scores, class_ids, ids);
    if (masks.count > 0 && (masks.height != ids.height || masks.width != ids.width)) {
        throw std::invalid_argument("masks must have shape (N, H, W) as semantic");
    }
    merge_masks(semantic, {&masks, {}}, scores, class_ids, options, ids, segments);
}

void merge_semantic_instances(const ClassMap& semantic, std::span<const std::string> codes,
                              std::span<const float> scores, std::span<const std::int64_t> class_ids,
                              const InstanceMergeOptions& options, Map<std::int32_t> ids,
                              std::vector<Segment>& segments) {
    check_counts(semantic, codes.size(), scores, class_ids, ids);
    merge_masks(semantic, {nullptr, codes}, scores, class_ids, options, ids, segments);
}

}  // namespace segrt
