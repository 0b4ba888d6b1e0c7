#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "detections.h"
#include "kernels.h"
#include "mask_decay.h"
#include "scratch.h"
#include "thread_pool.h"

namespace segrt {
namespace {

// Masks as bits, 64 pixels to a word, with the rows that hold any.
struct PackedMasks {
    Index words_per_row = 0;
    std::span<std::uint64_t> bits;  // [mask][row][word]
    std::span<std::int64_t> area;
    std::span<Index> top, bottom;  // [top, bottom) rows
};

PackedMasks pack(ScratchFrame& frame, const MaskStack& masks, int threads) {
    PackedMasks packed;
    packed.words_per_row = (masks.width + 63) / 64;
    const Index words = masks.height * packed.words_per_row;
    packed.bits = frame.take<std::uint64_t>(masks.count * words);
    packed.area = frame.take<std::int64_t>(masks.count);
    packed.top = frame.take<Index>(masks.count);
    packed.bottom = frame.take<Index>(masks.count);
    const auto rows = frame.take<std::uint8_t>(threads * masks.width);
    parallel_for(threads, masks.count, 1, [&](Index begin, Index end, int slot) {
        for (Index i = begin; i < end; ++i) {
            // Counted apart: neighbours in the arrays share cache lines with other threads' masks.
            std::int64_t area = 0;
            Index top = masks.height, bottom = 0;
            for (Index y = 0; y < masks.height; ++y) {
                std::uint8_t* copy = rows.data() + slot * masks.width;
                const std::uint8_t* row = masks.contiguous_row(i, y, copy);
                std::uint64_t* bits = packed.bits.data() + i * words + y * packed.words_per_row;
                const std::int64_t in_row = kernels().pack_row(row, masks.width, bits);
                if (in_row > 0) {
                    area += in_row;
                    top = std::min(top, y);
                    bottom = y + 1;
                }
            }
            const auto at = static_cast<std::size_t>(i);
            packed.area[at] = area;
            packed.top[at] = top;
            packed.bottom[at] = bottom;
        }
    });
    return packed;
}

float overlap(const PackedMasks& masks, Index words, std::size_t a, std::size_t b) {
    const Index top = std::max(masks.top[a], masks.top[b]), bottom = std::min(masks.bottom[a], masks.bottom[b]);
    const Index skipped = top * masks.words_per_row;
    const std::uint64_t* bits_a = masks.bits.data() + static_cast<Index>(a) * words + skipped;
    const std::uint64_t* bits_b = masks.bits.data() + static_cast<Index>(b) * words + skipped;
    const std::int64_t both = kernels().count_common(bits_a, bits_b, (bottom - top) * masks.words_per_row);
    const std::int64_t either = masks.area[a] + masks.area[b] - both;
    return share_in_both(both, either);
}

}  // namespace

void matrix_nms(const MaskStack& masks, std::span<const float> scores, std::span<const std::int64_t> class_ids,
                DecayKernel kernel, float sigma, int threads, std::span<float> decayed) {
    const auto count = static_cast<std::size_t>(masks.count);
    if (scores.size() != count || class_ids.size() != count || decayed.size() != count) {
        throw std::invalid_argument("masks must have shape (N, h, w), scores and class_ids (N,)");
    }
    ScratchFrame frame;
    const PackedMasks packed = pack(frame, masks, threads);
    const Index words = masks.height * packed.words_per_row;
    const auto order = frame.take<std::size_t>(masks.count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        const bool nan_a = std::isnan(scores[a]), nan_b = std::isnan(scores[b]);
        if (nan_a != nan_b) {
            return nan_b;
        }
        return !nan_a && scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
    });
    // overlaps[j][i], i < j in score order: with a better mask of the same class, else 0.
    const auto overlaps = frame.filled<float>(masks.count * masks.count, 0.0F);
    const auto worst = frame.take<float>(masks.count);
    parallel_for(threads, masks.count, 4, [&](Index begin, Index end, int) {
        // The last have most to be compared with and come first, so that threads end together.
        for (std::size_t j = count - static_cast<std::size_t>(begin); j-- > count - static_cast<std::size_t>(end);) {
            float most = 0.0F;
            for (std::size_t i = 0; i < j; ++i) {
                if (class_ids[order[i]] == class_ids[order[j]]) {
                    const float value = overlap(packed, words, order[i], order[j]);
                    overlaps[j * count + i] = value;
                    most = std::max(most, value);
                }
            }
            worst[j] = most;
        }
    });
    parallel_for(threads, masks.count, 16, [&](Index begin, Index end, int) {
        for (auto j = static_cast<std::size_t>(begin); j < static_cast<std::size_t>(end); ++j) {
            // The best mask, and those of other classes, leave the factor at 1 or above it: their own overlap is 0.
            const float factor = kernels().least_decay(kernel == DecayKernel::gaussian, sigma, &overlaps[j * count],
                                                       worst.data(), static_cast<Index>(j));
            decayed[order[j]] = scores[order[j]] * factor;
        }
    });
}

}  // namespace segrt
