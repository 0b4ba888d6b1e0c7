#include "stuff.h"

#include <algorithm>
#include <bit>

#include "class_map.h"
#include "kernels.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// How far from x on the class stays what it is at x. Most runs are long: 32 pixels are looked at together.
Index run_end(const std::uint16_t* classes, Index x, Index width) {
    const std::uint16_t c = classes[x];
    constexpr Index kStep = 32;
    Index end = x + 1;
    while (end + kStep <= width) {
        std::uint16_t differences = 0;
        for (Index i = 0; i < kStep; ++i) {
            differences = static_cast<std::uint16_t>(differences | (classes[end + i] ^ c));
        }
        if (differences != 0) {
            break;
        }
        end += kStep;
    }
    while (end < width && classes[end] == c) {
        ++end;
    }
    return end;
}

// Calls function(class, x, bits) for each run of one class in a row and each word with pixels of it that are not taken;
// x is the column of the word's first bit.
template <class F>
void for_free_words(const std::uint16_t* classes, const std::uint64_t* taken, Index width, F&& function) {
    for (Index x = 0; x < width;) {
        const Index end = run_end(classes, x, width);
        for (Index begin = x; begin < end;) {
            const Index word = begin / 64, stop = std::min(end, 64 * (word + 1));
            const std::uint64_t from = ~std::uint64_t{0} << (begin - 64 * word);
            const std::uint64_t to = ~std::uint64_t{0} >> (64 * (word + 1) - stop);
            const std::uint64_t free = ~taken[word] & from & to;
            if (free != 0) {
                function(classes[x], 64 * word, free);
            }
            begin = stop;
        }
        x = end;
    }
}

}  // namespace

void add_free_stuff(const ClassMap& semantic, std::span<const std::uint64_t> taken, std::int64_t area_limit,
                    int threads, Map<std::int32_t> ids, std::vector<Segment>& segments) {
    ScratchFrame frame;
    const Index words = (ids.width + 63) / 64;
    const auto classes = frame.take<std::uint16_t>(ids.height * ids.width);
    const auto largest = frame.filled<std::int32_t>(threads, 0);
    parallel_rows(threads, ids.height, [&](Index begin, Index end, int slot) {
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
    parallel_rows(threads, ids.height, [&](Index begin, Index end, int slot) {
        Region* own = regions.data() + slot * count;
        for (Index y = begin; y < end; ++y) {
            for_free_words(classes.data() + y * ids.width, taken.data() + y * words, ids.width,
                           [&](std::uint16_t c, Index x, std::uint64_t free) {
                               own[c].add_row(y, x + std::countr_zero(free), x + 63 - std::countl_zero(free),
                                              std::popcount(free));
                           });
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
    parallel_rows(threads, ids.height, [&](Index begin, Index end, int) {
        for (Index y = begin; y < end; ++y) {
            std::int32_t* row = ids.row(y);
            for_free_words(classes.data() + y * ids.width, taken.data() + y * words, ids.width,
                           [&](std::uint16_t c, Index x, std::uint64_t free) {
                               kernels().paint_bits(&free, 1, id_of_class[c], row + x);
                           });
        }
    });
}

}  // namespace segrt
