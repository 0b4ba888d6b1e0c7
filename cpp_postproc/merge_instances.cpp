#include "merge_instances.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>

#include "class_map.h"
#include "labelling.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// The columns [first, last) of a mask row between which its pixels lie.
struct Stretch {
    std::int32_t first = 0, last = 0;
};

bool any_of_eight(const std::uint8_t* bytes) {
    std::uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    return word != 0;
}

bool any_of_64(const std::uint8_t* bytes) {
    std::uint8_t any = 0;
    for (Index i = 0; i < 64; ++i) {
        any = static_cast<std::uint8_t>(any | bytes[i]);
    }
    return any != 0;
}

Stretch find_stretch(const std::uint8_t* row, Index width) {
    Index first = 0, last = width;
    while (first + 64 <= width && !any_of_64(row + first)) {
        first += 64;
    }
    while (first + 8 <= width && !any_of_eight(row + first)) {
        first += 8;
    }
    while (first < width && row[first] == 0) {
        ++first;
    }
    if (first == width) {
        return {};
    }
    while (last - 64 >= first && !any_of_64(row + last - 64)) {
        last -= 64;
    }
    while (last - 8 >= first && !any_of_eight(row + last - 8)) {
        last -= 8;
    }
    while (row[last - 1] == 0) {
        --last;
    }
    return {static_cast<std::int32_t>(first), static_cast<std::int32_t>(last)};
}

struct Overlap {
    std::int64_t area = 0, taken = 0;
};

class InstanceMerge {
public:
    InstanceMerge(const MaskStack& masks, Map<std::int32_t> ids, int threads)
        : masks_(masks),
          ids_(ids),
          threads_(threads),
          stretches_(frame_.take<Stretch>(ids.height)),
          overlaps_(frame_.take<Overlap>(threads)),
          regions_(frame_.take<Region>(threads)),
          rows_(frame_.take<std::uint8_t>(threads * ids.width)) {}

    Overlap overlap_of(Index image) {
        std::fill(overlaps_.begin(), overlaps_.end(), Overlap{});
        for_rows([&](Index y, int slot) {
            const std::uint8_t* mask = contiguous_row(image, y, slot);
            const Stretch stretch = find_stretch(mask, ids_.width);
            stretches_[static_cast<std::size_t>(y)] = stretch;
            const std::int32_t* taken = ids_.row(y);
            std::int32_t area = 0, both = 0;
            for (std::int32_t x = stretch.first; x < stretch.last; ++x) {
                const std::int32_t in_mask = mask[x] != 0 ? 1 : 0;
                area += in_mask;
                both += taken[x] != 0 ? in_mask : 0;
            }
            Overlap& overlap = overlaps_[static_cast<std::size_t>(slot)];
            overlap.area += area;
            overlap.taken += both;
        });
        Overlap total;
        for (const Overlap& part : overlaps_) {
            total.area += part.area;
            total.taken += part.taken;
        }
        return total;
    }

    // Paints the free pixels of the mask whose stretches were found last.
    Region paint(Index image, std::int32_t id) {
        std::fill(regions_.begin(), regions_.end(), Region{});
        for_rows([&](Index y, int slot) {
            const Stretch stretch = stretches_[static_cast<std::size_t>(y)];
            if (stretch.first == stretch.last) {
                return;
            }
            const std::uint8_t* mask = contiguous_row(image, y, slot);
            std::int32_t* row = ids_.row(y);
            std::int32_t painted = 0;
            for (std::int32_t x = stretch.first; x < stretch.last; ++x) {
                const bool free = mask[x] != 0 && row[x] == 0;
                row[x] = free ? id : row[x];
                painted += free ? 1 : 0;
            }
            if (painted > 0) {
                Index first = stretch.first, last = stretch.last - 1;
                while (row[first] != id) {
                    ++first;
                }
                while (row[last] != id) {
                    --last;
                }
                regions_[static_cast<std::size_t>(slot)].add_row(y, first, last, painted);
            }
        });
        Region total;
        for (const Region& part : regions_) {
            total.add(part);
        }
        return total;
    }

private:
    template <class F>
    void for_rows(F&& function) {
        parallel_for(threads_, ids_.height, rows_per_chunk(ids_.height, threads_),
                     [&](Index begin, Index end, int slot) {
                         for (Index y = begin; y < end; ++y) {
                             function(y, slot);
                         }
                     });
    }

    const std::uint8_t* contiguous_row(Index image, Index y, int slot) {
        const std::uint8_t* row = masks_.row(image, y);
        if (masks_.strides[2] == 1 || masks_.width == 1) {
            return row;
        }
        std::uint8_t* copy = rows_.data() + slot * masks_.width;
        for (Index x = 0; x < masks_.width; ++x) {
            copy[x] = row[x * masks_.strides[2]];
        }
        return copy;
    }

    ScratchFrame frame_;
    const MaskStack& masks_;
    Map<std::int32_t> ids_;
    int threads_;
    std::span<Stretch> stretches_;
    std::span<Overlap> overlaps_;
    std::span<Region> regions_;
    std::span<std::uint8_t> rows_;
};

// How far from x on ids and classes stay what they are at x. Most runs are long: 16 pixels are looked at together.
Index run_end(const std::uint16_t* classes, const std::int32_t* ids, Index x, Index width) {
    const std::int32_t id = ids[x];
    const std::uint16_t c = classes[x];
    constexpr Index kStep = 16;
    Index end = x + 1;
    while (end + kStep <= width) {
        std::int32_t differences = 0;
        for (Index i = 0; i < kStep; ++i) {
            differences |= (ids[end + i] ^ id) | (classes[end + i] ^ c);
        }
        if (differences != 0) {
            break;
        }
        end += kStep;
    }
    while (end < width && ids[end] == id && classes[end] == c) {
        ++end;
    }
    return end;
}

// Calls function(class, first, last) for each run of free pixels of one class in a row; last is exclusive.
template <class F>
void for_free_runs(const std::uint16_t* classes, const std::int32_t* ids, Index width, F&& function) {
    for (Index x = 0; x < width;) {
        const Index end = run_end(classes, ids, x, width);
        if (ids[x] == 0) {
            function(classes[x], x, end);
        }
        x = end;
    }
}

// The remaining pixels of every class but 0, where there are enough.
void add_stuff(const ClassMap& semantic, std::int64_t area_limit, int threads, Map<std::int32_t> ids,
               std::vector<Segment>& segments) {
    ScratchFrame frame;
    const auto classes = frame.take<std::uint16_t>(ids.height * ids.width);
    const auto largest = frame.filled<std::int32_t>(threads, 0);
    const Index chunk = rows_per_chunk(ids.height, threads);
    parallel_for(threads, ids.height, chunk, [&](Index begin, Index end, int slot) {
        std::int32_t& most = largest[static_cast<std::size_t>(slot)];
        for (Index y = begin; y < end; ++y) {
            std::uint16_t* row = classes.data() + y * ids.width;
            read_classes(semantic, y, row);
            std::int32_t in_row = 0;
            for (Index x = 0; x < ids.width; ++x) {
                in_row = std::max(in_row, std::int32_t{row[x]});
            }
            most = std::max(most, in_row);
        }
    });
    const Index count = *std::max_element(largest.begin(), largest.end()) + 1;
    const auto regions = frame.filled<Region>(threads * count, Region{});
    parallel_for(threads, ids.height, chunk, [&](Index begin, Index end, int slot) {
        Region* own = regions.data() + slot * count;
        for (Index y = begin; y < end; ++y) {
            for_free_runs(
                classes.data() + y * ids.width, ids.row(y), ids.width,
                [&](std::uint16_t c, Index first, Index last) { own[c].add_row(y, first, last - 1, last - first); });
        }
    });
    const auto id_of_class = frame.filled<std::int32_t>(count, 0);
    auto next = static_cast<std::int32_t>(segments.size());
    for (Index c = 1; c < count; ++c) {
        Region total;
        for (int slot = 0; slot < threads; ++slot) {
            total.add(regions[static_cast<std::size_t>(slot * count + c)]);
        }
        if (total.area > 0 && total.area >= area_limit) {
            id_of_class[static_cast<std::size_t>(c)] = ++next;
            segments.push_back(total.segment(next, static_cast<std::int32_t>(c), 1.0F, -1));
        }
    }
    parallel_for(threads, ids.height, chunk, [&](Index begin, Index end, int) {
        for (Index y = begin; y < end; ++y) {
            std::int32_t* row = ids.row(y);
            for_free_runs(
                classes.data() + y * ids.width, row, ids.width,
                [&](std::uint16_t c, Index first, Index last) { std::fill(row + first, row + last, id_of_class[c]); });
        }
    });
}

}  // namespace

void merge_semantic_instances(const ClassMap& semantic, const MaskStack& masks, std::span<const float> scores,
                              std::span<const std::int64_t> class_ids, const InstanceMergeOptions& options,
                              Map<std::int32_t> ids, std::vector<Segment>& segments) {
    if (semantic.height != ids.height || semantic.width != ids.width) {
        throw std::invalid_argument("semantic and out must have the same shape");
    }
    const auto count = static_cast<std::size_t>(masks.count);
    if (scores.size() != count || class_ids.size() != count ||
        (count > 0 && (masks.height != ids.height || masks.width != ids.width))) {
        throw std::invalid_argument("masks must have shape (N, H, W) as semantic, scores and class_ids (N,)");
    }
    segments.clear();
    for (Index y = 0; y < ids.height; ++y) {
        std::fill_n(ids.row(y), ids.width, 0);
    }
    ScratchFrame frame;
    const auto order = frame.take<std::size_t>(masks.count);
    std::size_t candidates = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (scores[i] >= options.score_threshold) {
            order[candidates++] = i;
        }
    }
    std::sort(order.begin(), order.begin() + static_cast<Index>(candidates),
              [&](std::size_t a, std::size_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
    InstanceMerge merge(masks, ids, options.threads);
    for (const std::size_t i : order.first(candidates)) {
        const auto image = static_cast<Index>(i);
        const Overlap overlap = merge.overlap_of(image);
        if (overlap.area == 0 ||
            static_cast<double>(overlap.taken) / static_cast<double>(overlap.area) > options.overlap_threshold) {
            continue;
        }
        const auto id = static_cast<std::int32_t>(segments.size()) + 1;
        segments.push_back(merge.paint(image, id).segment(id, static_cast<std::int32_t>(class_ids[i]), scores[i],
                                                          static_cast<std::int32_t>(i)));
    }
    add_stuff(semantic, options.stuff_area_limit, options.threads, ids, segments);
}

}  // namespace segrt
