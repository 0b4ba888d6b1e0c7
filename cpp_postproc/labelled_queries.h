// From pixels that are labelled with kept queries to segments and their ids: the end of every merge of queries.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "class_scores.h"
#include "label_job.h"
#include "merge_queries.h"
#include "segment.h"
#include "views.h"

namespace segrt {

// Every rule but DETR's own: a query stands where enough of its mask is left to it. A label is a position in `kept`;
// any other is void. Label is std::uint8_t or std::uint16_t. Writes `ids` and appends `segments`.
template <class Label>
void merge_labelled(Map<Label> labels, std::span<const ScoredQuery> kept, std::span<const Tally> tallies,
                    const MergeOptions& options, Map<std::int32_t> ids, std::vector<Segment>& segments);

// The same without a map, whose ids someone else paints: query k's is the number of its segment.
void choose_segments(std::span<const ScoredQuery> kept, std::span<const Tally> tallies, const MergeOptions& options,
                     std::vector<Segment>& segments);

// DETR's own rule, one round: returns the positions of the queries that are large enough. When all of them are, it
// appends `segments`; else pixels have to be labelled again among those.
std::vector<std::int64_t> choose_detr_segments(std::span<const ScoredQuery> kept, std::span<const Tally> tallies,
                                               const MergeOptions& options, bool first_time,
                                               std::vector<Segment>& segments);

}  // namespace segrt
