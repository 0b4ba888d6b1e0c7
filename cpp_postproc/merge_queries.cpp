#include "merge_queries.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "class_scores.h"
#include "kernels.h"
#include "labelling.h"
#include "merge_detr.h"
#include "query_masks.h"
#include "query_segments.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// Enough of the query's own mask must be left. The ratio is a float32 compared as double, as torch's item() gives.
bool survives(const Tally& tally, double overlap_threshold) {
    if (tally.labelled == 0 || tally.original == 0 || tally.visible.area == 0) {
        return false;
    }
    const float ratio = static_cast<float>(tally.labelled) / static_cast<float>(tally.original);
    return static_cast<double>(ratio) > overlap_threshold;
}

// The id of each label; the label after the last is void.
std::span<std::int32_t> choose_segments(ScratchFrame& frame, std::span<const ScoredQuery> kept,
                                        std::span<const Tally> tallies, const MergeOptions& options,
                                        std::vector<Segment>& segments) {
    QuerySegments found(options.stuff_classes, segments);
    const bool compat = options.compat && options.rule != MergeRule::eomt;
    const auto ids = frame.filled<std::int32_t>(static_cast<Index>(kept.size()) + 1, 0);
    for (std::size_t k = 0; k < kept.size(); ++k) {
        if (survives(tallies[k], options.overlap_threshold)) {
            ids[k] = compat ? found.add_compat(kept[k], tallies[k].visible) : found.add(kept[k], tallies[k].visible);
        }
    }
    return ids;
}

template <class Label>
void paint(Map<Label> labels, std::span<const std::int32_t> id_of_label, int threads, Map<std::int32_t> ids) {
    const Kernels& loops = kernels();
    parallel_for(threads, ids.height, rows_per_chunk(ids.height, threads), [&](Index begin, Index end, int) {
        for (Index y = begin; y < end; ++y) {
            if constexpr (sizeof(Label) == 1) {
                loops.paint8(labels.row(y), id_of_label.data(), ids.row(y), ids.width);
            } else {
                loops.paint16(labels.row(y), id_of_label.data(), ids.row(y), ids.width);
            }
        }
    });
}

// Every rule but DETR's own: a pixel goes to the query of the highest score times mask probability, and a query stands
// where enough of its mask does. Returns how many values that were read are not finite.
template <class Label>
std::int64_t merge_ranked(ScratchFrame& frame, const QueryMasks& masks, std::span<const ScoredQuery> kept,
                          const MergeOptions& options, Map<std::int32_t> ids, std::vector<Segment>& segments) {
    const auto count = static_cast<Index>(kept.size());
    const auto weights = frame.take<float>(count);
    std::transform(kept.begin(), kept.end(), weights.begin(), [](const ScoredQuery& query) { return query.score; });
    const bool logits = options.rule == MergeRule::eomt;
    const Map<Label> labels{frame.take<Label>(ids.height * ids.width).data(), ids.height, ids.width, ids.width};
    const auto tallies = frame.take<Tally>(count);
    const std::int64_t nonfinite = label_pixels({.source = masks.stack,
                                                 .images = masks.images.data(),
                                                 .channels = count,
                                                 .probabilities = !logits,
                                                 .weights = weights.data(),
                                                 .ranking = logits ? Ranking::weighted_logit : Ranking::weighted,
                                                 .rows = {},
                                                 .columns = {}},
                                                masks.window, options.threads, labels, tallies);
    paint(labels, choose_segments(frame, kept, tallies, options, segments), options.threads, ids);
    return nonfinite;
}

}  // namespace

std::int64_t merge_queries(const FloatTable& class_logits, const FloatStack& mask_logits, const MergeOptions& options,
                           Map<std::int32_t> ids, std::vector<Segment>& segments) {
    if (class_logits.rows != mask_logits.count) {
        throw std::invalid_argument("class_logits and mask_logits must have the same number of queries, but have " +
                                    std::to_string(class_logits.rows) + " and " + std::to_string(mask_logits.count));
    }
    if (class_logits.columns < 2 || mask_logits.height < 1 || mask_logits.width < 1) {
        throw std::invalid_argument("class_logits must have shape (Q, C+1) and mask_logits (Q, h, w), none empty");
    }
    if (class_logits.rows > 65535) {
        throw std::invalid_argument("class_logits must have at most 65535 queries, but have " +
                                    std::to_string(class_logits.rows));
    }
    segments.clear();
    ScratchFrame frame;
    std::int64_t nonfinite = 0;
    const auto kept = confident_queries(frame, class_logits, options.score_threshold, nonfinite);
    if (kept.empty()) {
        fill_map(ids, 0);
        return nonfinite;
    }
    QueryMasks masks = masks_of(frame, kept, mask_logits,
                                options.window.value_or(whole_window({mask_logits.height, mask_logits.width})));
    if (options.processed_size) {
        masks = resized_masks(frame, masks, *options.processed_size, options.threads, nonfinite);
    }
    if (options.rule == MergeRule::detr) {
        return nonfinite + merge_detr(frame, masks, kept, options, ids, segments);
    }
    return nonfinite + (kept.size() < 256 ? merge_ranked<std::uint8_t>(frame, masks, kept, options, ids, segments)
                                          : merge_ranked<std::uint16_t>(frame, masks, kept, options, ids, segments));
}

}  // namespace segrt
