#include "merge_instances.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>

#include "kernels.h"
#include "rle.h"
#include "scratch.h"
#include "stuff.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// The words [first, last) of a row of bits between which its pixels lie.
struct Stretch {
    std::int32_t first = 0, last = 0;

    [[nodiscard]] Index words() const { return last - first; }
};

Stretch find_stretch(const std::uint64_t* bits, Index words) {
    Index first = 0, last = words;
    while (bits[first] == 0) {
        ++first;
    }
    while (bits[last - 1] == 0) {
        --last;
    }
    return {static_cast<std::int32_t>(first), static_cast<std::int32_t>(last)};
}

// Instances are packed together, this many at most, which bounds the memory for their bits.
constexpr Index kBatch = 16;
// Rows of one mask that are packed as one piece of work.
constexpr Index kPackRows = 128;

// Where masks come from: pictures of bytes, or else run-length codes.
struct MaskSource {
    const MaskStack* pictures = nullptr;
    std::span<const std::string> codes;
};

// Masks are read once, into bits; overlaps and free pixels are found by words of 64 pixels. Only what touches every
// pixel runs on threads; the order in which instances claim pixels is kept by one.
class InstanceMerge {
public:
    InstanceMerge(const MaskSource& masks, Map<std::int32_t> ids, std::span<std::uint64_t> taken, Index largest_batch,
                  int threads)
        : masks_(masks),
          ids_(ids),
          words_((ids.width + 63) / 64),
          blocks_((ids.height + kPackRows - 1) / kPackRows),
          threads_(threads),
          taken_(taken),
          bits_(frame_.take<std::uint64_t>(largest_batch * ids.height * words_)),
          stretches_(frame_.take<Stretch>(largest_batch * ids.height)),
          areas_(frame_.take<std::int64_t>(largest_batch * blocks_)),
          rows_(frame_.take<std::uint8_t>(threads * ids.width)) {}

    // Reads the masks at these positions.
    void pack(std::span<const std::size_t> images) {
        const auto count = static_cast<Index>(images.size());
        if (masks_.pictures == nullptr) {
            parallel_for(threads_, count, 1, [&](Index begin, Index end, int) {
                for (Index k = begin; k < end; ++k) {
                    pack_code(masks_.codes[images[static_cast<std::size_t>(k)]], k);
                }
            });
            return;
        }
        parallel_for(
            threads_, count * blocks_, threads_ == 1 ? count * blocks_ : 1, [&](Index begin, Index end, int slot) {
                for (Index piece = begin; piece < end; ++piece) {
                    const Index k = piece / blocks_;
                    pack_block(static_cast<Index>(images[static_cast<std::size_t>(k)]), k, piece % blocks_, slot);
                }
            });
    }

    // Pixels of packed mask `k`, and how many of them are taken already.
    [[nodiscard]] std::int64_t area(Index k) const {
        const auto own = areas_.subspan(static_cast<std::size_t>(k * blocks_), static_cast<std::size_t>(blocks_));
        return std::accumulate(own.begin(), own.end(), std::int64_t{0});
    }

    [[nodiscard]] std::int64_t taken(Index k) const {
        std::int64_t taken = 0;
        for (Index y = 0; y < ids_.height; ++y) {
            const Stretch& stretch = stretch_of(k, y);
            taken +=
                kernels().count_common(bits_of(k, y) + stretch.first, taken_of(y) + stretch.first, stretch.words());
        }
        return taken;
    }

    // Gives packed mask `k` its free pixels, which stay as its bits, and returns where they lie.
    Region claim(Index k) {
        Region region;
        for (Index y = 0; y < ids_.height; ++y) {
            Stretch& stretch = stretch_of(k, y);
            std::uint64_t* free = bits_of(k, y) + stretch.first;
            std::uint64_t* taken = taken_of(y) + stretch.first;
            std::uint64_t any = 0;
            for (Index i = 0; i < stretch.words(); ++i) {
                free[i] &= ~taken[i];
                taken[i] |= free[i];
                any |= free[i];
            }
            if (any == 0) {
                stretch = Stretch{};
                continue;
            }
            const std::int64_t claimed = kernels().count_common(free, free, stretch.words());
            const Stretch inner = find_stretch(free, stretch.words());
            const Index first = 64 * (stretch.first + inner.first) + std::countr_zero(free[inner.first]);
            const Index last = 64 * (stretch.first + inner.last) - 1 - std::countl_zero(free[inner.last - 1]);
            region.add_row(y, first, last, claimed);
            stretch = {stretch.first + inner.first, stretch.first + inner.last};
        }
        return region;
    }

    // Paints what the packed masks claimed; id_of[k] is 0 for one that claimed nothing.
    void paint(std::span<const std::int32_t> id_of) {
        parallel_for(threads_, ids_.height, rows_per_chunk(ids_.height, threads_), [&](Index begin, Index end, int) {
            for (Index y = begin; y < end; ++y) {
                for (std::size_t k = 0; k < id_of.size(); ++k) {
                    const Stretch& stretch = stretch_of(static_cast<Index>(k), y);
                    if (id_of[k] != 0 && stretch.words() > 0) {
                        kernels().paint_bits(bits_of(static_cast<Index>(k), y) + stretch.first, stretch.words(),
                                             id_of[k], ids_.row(y) + 64 * stretch.first);
                    }
                }
            }
        });
    }

private:
    void pack_block(Index image, Index k, Index block, int slot) {
        const Kernels& kernel = kernels();
        std::int64_t area = 0;
        for (Index y = block * kPackRows; y < std::min((block + 1) * kPackRows, ids_.height); ++y) {
            const std::uint8_t* mask = masks_.pictures->contiguous_row(image, y, rows_.data() + slot * ids_.width);
            const std::int64_t in_row = kernel.pack_row(mask, ids_.width, bits_of(k, y));
            stretch_of(k, y) = in_row == 0 ? Stretch{} : find_stretch(bits_of(k, y), words_);
            area += in_row;
        }
        areas_[static_cast<std::size_t>(k * blocks_ + block)] = area;
    }

    void pack_code(std::string_view code, Index k) {
        thread_local std::vector<std::uint32_t> counts;
        unpack_counts(code, ids_.height, ids_.width, counts);
        std::fill_n(bits_of(k, 0), ids_.height * words_, std::uint64_t{0});
        for_each_stretch(counts, ids_.height, [&](Index x, Index top, Index bottom) {
            std::uint64_t* word = bits_of(k, top) + x / 64;
            const std::uint64_t bit = std::uint64_t{1} << static_cast<unsigned>(x % 64);
            for (Index y = top; y < bottom; ++y, word += words_) {
                *word |= bit;
            }
        });
        for (Index y = 0; y < ids_.height; ++y) {
            const std::uint64_t* row = bits_of(k, y);
            const bool is_empty = std::all_of(row, row + words_, [](std::uint64_t word) { return word == 0; });
            stretch_of(k, y) = is_empty ? Stretch{} : find_stretch(row, words_);
        }
        const auto areas = areas_.subspan(static_cast<std::size_t>(k * blocks_), static_cast<std::size_t>(blocks_));
        std::fill(areas.begin(), areas.end(), 0);
        areas[0] = area_of_counts(counts);
    }

    [[nodiscard]] std::uint64_t* bits_of(Index k, Index y) const {
        return bits_.data() + (k * ids_.height + y) * words_;
    }
    [[nodiscard]] std::uint64_t* taken_of(Index y) const { return taken_.data() + y * words_; }
    [[nodiscard]] Stretch& stretch_of(Index k, Index y) const {
        return stretches_[static_cast<std::size_t>(k * ids_.height + y)];
    }

    ScratchFrame frame_;
    MaskSource masks_;
    Map<std::int32_t> ids_;
    Index words_, blocks_;
    int threads_;
    std::span<std::uint64_t> taken_, bits_;
    std::span<Stretch> stretches_;
    std::span<std::int64_t> areas_;  // [mask][block]
    std::span<std::uint8_t> rows_;
};

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
    InstanceMerge merge(masks, ids, taken, largest_batch, options.threads);
    const auto ids_of_batch = frame.take<std::int32_t>(largest_batch);
    for (std::size_t begin = 0; begin < candidates; begin += static_cast<std::size_t>(kBatch)) {
        const auto batch = order.subspan(begin, std::min(candidates - begin, static_cast<std::size_t>(kBatch)));
        merge.pack(batch);
        for (std::size_t k = 0; k < batch.size(); ++k) {
            const auto at = static_cast<Index>(k);
            const std::int64_t area = merge.area(at);
            ids_of_batch[k] = 0;
            if (area == 0 ||
                static_cast<double>(merge.taken(at)) / static_cast<double>(area) > options.overlap_threshold) {
                continue;
            }
            const auto id = static_cast<std::int32_t>(segments.size()) + 1;
            ids_of_batch[k] = id;
            const std::size_t i = batch[k];
            segments.push_back(merge.claim(at).segment(id, static_cast<std::int32_t>(class_ids[i]), scores[i],
                                                       static_cast<std::int32_t>(i)));
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
