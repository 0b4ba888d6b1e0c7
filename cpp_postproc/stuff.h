// Segments from what instances leave of a class map.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "segment.h"
#include "views.h"

namespace segrt {

// The remaining pixels of every class but 0, where there are at least `area_limit`, in ascending order of classes.
// taken: one bit a pixel, 64 to a word, each row beginning with a new word.
void add_free_stuff(const ClassMap& semantic, std::span<const std::uint64_t> taken, std::int64_t area_limit,
                    int threads, Map<std::int32_t> ids, std::vector<Segment>& segments);

}  // namespace segrt
