#include "merge_queries.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "class_scores.h"
#include "labelled_queries.h"
#include "labelling.h"
#include "merge_detr.h"
#include "query_masks.h"
#include "scratch.h"

namespace segrt {
namespace {

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
    merge_labelled(labels, kept, tallies, options, ids, segments);
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
