// Which queries of DETR's merge are one segment, which are too small, and what segments they become.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "class_scores.h"
#include "query_segments.h"
#include "segment.h"

namespace segrt {

// For each kept query, the index of the one whose segment it belongs to: itself, or the first of its stuff class.
void find_groups(std::span<const ScoredQuery> kept, const QuerySegments& segments, bool fuse_stuff,
                 std::span<std::size_t> group);

// Whether query k of the kept has enough pixels to stay; groups stand and fall together, except with the original's
// mistake (`compat`). regions: of each group.
[[nodiscard]] bool is_large_enough(std::size_t k, std::span<const std::size_t> group, std::span<const Region> regions,
                                   bool compat);

// Appends the groups' segments and writes the id of each kept query.
void append_groups(std::span<const ScoredQuery> kept, std::span<const std::size_t> group,
                   std::span<const Region> regions, QuerySegments& segments, std::span<std::int32_t> ids);

}  // namespace segrt
