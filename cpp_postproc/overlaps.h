// How many pixels two label maps share, id by id: the counting under PQ, IoU and confusion matrices.
#pragma once

#include <cstdint>
#include <span>

#include "views.h"

namespace segrt {

// Counts the pixels of `first` and `second`, which must have one size, by pairs of ids. `counts` has shape
// (first_ids + 1, second_ids + 1), row-major, and is overwritten: row 1 + i is first_ids[i], row 0 is every id that is
// not listed; columns likewise. Ids need not be dense or sorted, but must be distinct. Maps are uint8, uint16 or
// int32; items of 3 bytes are colours, blue first, whose id is R + 256 G + 65536 B (panopticapi, utils.py, rgb2id).
void count_overlaps(const ClassMap& first, const ClassMap& second, std::span<const std::int32_t> first_ids,
                    std::span<const std::int32_t> second_ids, std::span<std::int64_t> counts);

// Counts the pixels of each listed id of `map`; counts[0] is every id that is not listed.
void count_ids(const ClassMap& map, std::span<const std::int32_t> ids, std::span<std::int64_t> counts);

// The id of each colour of `image`, a map of 3-byte items.
void ids_of_colors(const ClassMap& image, Map<std::int32_t> ids);

}  // namespace segrt
