#include "labelled_queries.h"

#include <cstddef>

#include "detr_groups.h"
#include "kernels.h"
#include "query_segments.h"
#include "scratch.h"
#include "survival.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// An id for everything that a label can be; 0 until it is written.
template <class Label>
std::span<std::int32_t> id_table(ScratchFrame& frame) {
    return frame.filled<std::int32_t>(Index{1} << (8 * sizeof(Label)), 0);
}

template <class Label>
void paint(Map<Label> labels, std::span<const std::int32_t> id_of_label, int threads, Map<std::int32_t> ids) {
    const Kernels& loops = kernels();
    parallel_rows(threads, ids.height, [&](Index begin, Index end, int) {
        for (Index y = begin; y < end; ++y) {
            if constexpr (sizeof(Label) == 1) {
                loops.paint8(labels.row(y), id_of_label.data(), ids.row(y), ids.width);
            } else {
                loops.paint16(labels.row(y), id_of_label.data(), ids.row(y), ids.width);
            }
        }
    });
}

// Appends the segments of a ranked merge and writes the id of each label.
void choose_ids(std::span<const ScoredQuery> kept, std::span<const Tally> tallies, const MergeOptions& options,
                std::vector<Segment>& segments, std::span<std::int32_t> id_of_label) {
    QuerySegments found(options.stuff_classes, segments);
    const bool compat = options.compat && options.rule != MergeRule::eomt;
    for (std::size_t k = 0; k < kept.size(); ++k) {
        const Tally& tally = tallies[k];
        if (is_enough_left(tally.labelled, tally.original, tally.visible.area, options.overlap_threshold)) {
            id_of_label[k] = compat ? found.add_compat(kept[k], tally.visible) : found.add(kept[k], tally.visible);
        }
    }
}

}  // namespace

template <class Label>
void merge_labelled(Map<Label> labels, std::span<const ScoredQuery> kept, std::span<const Tally> tallies,
                    const MergeOptions& options, Map<std::int32_t> ids, std::vector<Segment>& segments) {
    ScratchFrame frame;
    const auto id_of_label = id_table<Label>(frame);
    choose_ids(kept, tallies, options, segments, id_of_label);
    paint(labels, id_of_label, options.threads, ids);
}

void choose_segments(std::span<const ScoredQuery> kept, std::span<const Tally> tallies, const MergeOptions& options,
                     std::vector<Segment>& segments) {
    ScratchFrame frame;
    choose_ids(kept, tallies, options, segments, frame.take<std::int32_t>(static_cast<Index>(kept.size())));
}

std::vector<std::int64_t> choose_detr_segments(std::span<const ScoredQuery> kept, std::span<const Tally> tallies,
                                               const MergeOptions& options, bool first_time,
                                               std::vector<Segment>& segments) {
    ScratchFrame frame;
    QuerySegments found(options.stuff_classes, segments);
    const auto count = static_cast<Index>(kept.size());
    const auto group = frame.take<std::size_t>(count);
    find_groups(kept, found, first_time || !options.compat, group);
    const auto regions = frame.filled<Region>(count, Region{});
    for (std::size_t k = 0; k < kept.size(); ++k) {
        regions[group[k]].add(tallies[k].visible);
    }
    std::vector<std::int64_t> left;
    for (std::size_t k = 0; k < kept.size(); ++k) {
        if (is_large_enough(k, group, regions, options.compat)) {
            left.push_back(static_cast<std::int64_t>(k));
        }
    }
    if (left.size() == kept.size()) {
        append_groups(kept, group, regions, found, frame.take<std::int32_t>(count));
    }
    return left;
}

template void merge_labelled(Map<std::uint8_t>, std::span<const ScoredQuery>, std::span<const Tally>,
                             const MergeOptions&, Map<std::int32_t>, std::vector<Segment>&);
template void merge_labelled(Map<std::uint16_t>, std::span<const ScoredQuery>, std::span<const Tally>,
                             const MergeOptions&, Map<std::int32_t>, std::vector<Segment>&);

}  // namespace segrt
