// Counting and boxing labels block by block. See fast_table.h for how this file is compiled.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstring>

#include "kernels.h"
#include "kernels/bits_fast.h"

namespace segrt {
namespace {

// The most rows of a block.
constexpr Index kHighestBand = 128;
static_assert(kBlock == 32, "pixels of a block's row are bits of a word");

struct Block {
    Index x, columns, top, bottom;
    [[nodiscard]] std::int64_t pixels() const { return columns * (bottom - top); }
};

// Not a method of Region, whose one copy in the program must be for every processor.
inline void extend(Region& region, Index left, Index right, Index top, Index bottom) {
    const auto l = static_cast<std::int32_t>(left), r = static_cast<std::int32_t>(right);
    const auto t = static_cast<std::int32_t>(top), b = static_cast<std::int32_t>(bottom);
    region.left = l < region.left ? l : region.left;
    region.right = r > region.right ? r : region.right;
    region.top = t < region.top ? t : region.top;
    region.bottom = b > region.bottom ? b : region.bottom;
}

// Bit x: whether pixel x of kBlock is `k`.
template <class Label>
inline std::uint32_t label_bits(const Label* labels, Label k) {
#if defined(__AVX2__)
    if constexpr (sizeof(Label) == 1) {
        const __m256i row = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(labels));
        const __m256i same = _mm256_cmpeq_epi8(row, _mm256_set1_epi8(static_cast<char>(k)));
        return static_cast<std::uint32_t>(_mm256_movemask_epi8(same));
    }
#endif
    std::uint8_t same[64];
    for (Index j = 0; j < kBlock; ++j) {
        same[j] = labels[j] == k ? 1 : 0;
        same[kBlock + j] = 0;
    }
    return static_cast<std::uint32_t>(pack_word(same));
}

// Counts the pixels of a label in a block that has just been stored.
template <class Label>
inline void tally_block(Tally& tally, const Map<Label>& labels, const Block& block, Label k) {
    const std::uint32_t within =
        block.columns < kBlock ? (1U << static_cast<std::uint32_t>(block.columns)) - 1 : ~std::uint32_t{0};
    std::uint32_t columns = 0;
    std::int32_t pixels = 0;
    Index top = block.bottom, bottom = block.top;
    for (Index y = block.top; y < block.bottom; ++y) {
        const Label* row = labels.row(y) + block.x;
        Label part[kBlock];
        if (block.columns < kBlock) {
            std::memcpy(part, row, static_cast<std::size_t>(block.columns) * sizeof(Label));
            std::memset(part + block.columns, 0, static_cast<std::size_t>(kBlock - block.columns) * sizeof(Label));
            row = part;
        }
        const std::uint32_t found = label_bits(row, k) & within;
        columns |= found;
        pixels += __builtin_popcount(found);
        top = found != 0 && y < top ? y : top;
        bottom = found != 0 ? y : bottom;
    }
    if (pixels == 0) {
        return;
    }
    tally.labelled += pixels;
    tally.visible.area += pixels;
    extend(tally.visible, block.x + __builtin_ctz(columns), block.x + 31 - __builtin_clz(columns), top, bottom);
}

}  // namespace
}  // namespace segrt
