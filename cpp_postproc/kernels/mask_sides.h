// Which parts of an enlarged mask are decided by the grid alone. See fast_table.h for how this file is compiled.
//
// Interpolation between values v with weights w is a sum of v * w, each product and the sum rounded: it is off by at
// most a few units in the last place of the |v| * w, and by as little because the weights sum up to 1 but for their own
// rounding. Where each v is further from the threshold than 2e-6 (16 such units) of itself, the sum of the distances
// outweighs the error, also that of two steps: the result lies on their side. Beyond the limits of Decision this is so,
// for v - 2e-6 * |v| grows with v and at the limit is above the threshold; likewise below. kSmallest does the same for
// numbers so small that they round by a fixed amount. A cell of the grid whose corners are all clear in this sense is a
// run, and no pixel of it is computed. Infinite corners, which sums of prototypes may give, are never clear: times a
// weight of 0 they are NaN.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "float_math.h"
#include "kernels.h"
#include "kernels/bits_fast.h"

namespace segrt {
namespace {

// Values above `high` are clearly above the threshold, those up to `low` clearly below; NaN decides nothing.
struct Decision {
    float low, high;
};

inline Decision decision_about(float threshold) {
    constexpr float kShare = 3e-6F, kSmallest = 1e-36F;
    const float slack = kShare * __builtin_fabsf(threshold) + kSmallest;
    return {threshold - slack, threshold + slack};
}

constexpr float kInfinite = __builtin_inff();

// The sides of 64 values.
inline void sides_of_word(const float* values, Decision decision, std::uint64_t* above, std::uint64_t* below) {
#if defined(__AVX512F__)
    std::uint64_t high = 0, low = 0;
    for (unsigned i = 0; i < 64; i += 16) {
        const __m512 value = _mm512_loadu_ps(values + i);
        const __mmask16 over = _mm512_cmp_ps_mask(value, _mm512_set1_ps(decision.high), _CMP_GT_OQ);
        const __mmask16 under = _mm512_cmp_ps_mask(value, _mm512_set1_ps(decision.low), _CMP_LE_OQ);
        high |= std::uint64_t{_mm512_mask_cmp_ps_mask(over, value, _mm512_set1_ps(kInfinite), _CMP_LT_OQ)} << i;
        low |= std::uint64_t{_mm512_mask_cmp_ps_mask(under, value, _mm512_set1_ps(-kInfinite), _CMP_GT_OQ)} << i;
    }
    *above = high;
    *below = low;
#elif defined(__AVX2__)
    std::uint64_t high = 0, low = 0;
    for (unsigned i = 0; i < 64; i += 8) {
        const __m256 value = _mm256_loadu_ps(values + i);
        const __m256 over = _mm256_and_ps(_mm256_cmp_ps(value, _mm256_set1_ps(decision.high), _CMP_GT_OQ),
                                          _mm256_cmp_ps(value, _mm256_set1_ps(kInfinite), _CMP_LT_OQ));
        const __m256 under = _mm256_and_ps(_mm256_cmp_ps(value, _mm256_set1_ps(decision.low), _CMP_LE_OQ),
                                           _mm256_cmp_ps(value, _mm256_set1_ps(-kInfinite), _CMP_GT_OQ));
        high |= std::uint64_t{static_cast<std::uint32_t>(_mm256_movemask_ps(over))} << i;
        low |= std::uint64_t{static_cast<std::uint32_t>(_mm256_movemask_ps(under))} << i;
    }
    *above = high;
    *below = low;
#else
    std::uint8_t over[64], under[64];
    for (Index i = 0; i < 64; ++i) {
        over[i] = values[i] > decision.high && values[i] < kInfinite ? 1 : 0;
        under[i] = values[i] <= decision.low && values[i] > -kInfinite ? 1 : 0;
    }
    *above = pack_word(over);
    *below = pack_word(under);
#endif
}

// Bit `rows` of the words becomes as bit rows - 1.
inline void repeat_last_row(Index rows, std::uint64_t* words) {
    const std::uint64_t last = words[(rows - 1) / 64] >> ((rows - 1) % 64) & 1U;
    const std::uint64_t bit = std::uint64_t{1} << (rows % 64);
    words[rows / 64] = (words[rows / 64] & ~bit) | (last != 0 ? bit : 0U);
}

inline void grid_sides(const float* column, Index rows, float threshold, Sides sides) {
    const Decision decision = decision_about(threshold);
    Index word = 0;
    for (; 64 * (word + 1) <= rows; ++word) {
        sides_of_word(column + 64 * word, decision, sides.above + word, sides.below + word);
    }
    float rest[64] = {};
    std::memcpy(rest, column + 64 * word, static_cast<std::size_t>(rows - 64 * word) * sizeof(float));
    sides_of_word(rest, decision, sides.above + word, sides.below + word);
    repeat_last_row(rows, sides.above);
    repeat_last_row(rows, sides.below);
}

// The bits of a word that stand for cells between the first and the last.
inline std::uint64_t cells_in_word(const RowCells& cells, Index word) {
    const Index begin = cells.first - 64 * word, end = cells.last + 1 - 64 * word;
    const std::uint64_t from = begin <= 0 ? ~std::uint64_t{0} : ~std::uint64_t{0} << begin;
    const std::uint64_t until = end >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << end) - 1;
    return from & until;
}

// The word with each bit replaced by that of the row below.
inline std::uint64_t row_below(const std::uint64_t* words, Index word) {
    return words[word] >> 1U | words[word + 1] << 63U;
}

// The cells of a word both of whose rows clearly lie on one side.
inline std::uint64_t decided_cells(Sides sides, Index word) {
    return (sides.above[word] & row_below(sides.above, word)) | (sides.below[word] & row_below(sides.below, word));
}

// Writes which cells are decided in target column x, and on which sides its rows lie. Values are computed only next to
// cells that the two grid columns leave open.
inline void decide_cells(const GridMask& mask, Index x, const RowCells& cells, Sides shared,
                         const ColumnMemory& memory) {
    const Index rows = mask.rows.source_length, words = side_words(rows);
    const float* left = mask.grid + mask.columns.low[x] * rows;
    const float* right = mask.grid + mask.columns.high[x] * rows;
    const float left_weight = mask.columns.low_weight[x], right_weight = mask.columns.high_weight[x];
    const Index first = cells.first / 64, last = (cells.last + 1) / 64;
    const Sides own = memory.sides;
    const Decision decision = decision_about(mask.threshold);
    std::uint64_t open_before = 0;
    bool is_end = false;
    for (Index word = first; word <= last; ++word) {
        const Index begin = 64 * word, end = begin + 64 < rows ? begin + 64 : rows;
        const std::uint64_t open = ~decided_cells(shared, word) & cells_in_word(cells, word);
        if (open == 0 && open_before >> 63U == 0) {
            own.above[word] = shared.above[word];
            own.below[word] = shared.below[word];
        } else {
            if (end - begin == 64) {
                for (Index r = begin; r < begin + 64; ++r) {
                    memory.values[r] = lerp(left[r], left_weight, right[r], right_weight);
                }
            } else {
                for (Index r = begin; r < end; ++r) {
                    memory.values[r] = lerp(left[r], left_weight, right[r], right_weight);
                }
            }
            sides_of_word(memory.values + begin, decision, own.above + word, own.below + word);
            // What was clear stays decided: the values next to it may not have been computed.
            own.above[word] |= shared.above[word];
            own.below[word] |= shared.below[word];
            is_end = is_end || end == rows;
        }
        open_before = open;
    }
    if (is_end) {
        memory.values[rows] = memory.values[rows - 1];
        repeat_last_row(rows, own.above);
        repeat_last_row(rows, own.below);
    }
    own.above[words] = own.below[words] = memory.decided[last + 1] = 0;
    for (Index word = first; word <= last; ++word) {
        memory.decided[word] = decided_cells(own, word) & cells_in_word(cells, word);
    }
}

}  // namespace
}  // namespace segrt
