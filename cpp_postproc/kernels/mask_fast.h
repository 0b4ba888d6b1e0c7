// Inner loops of enlarged masks. See fast_table.h for how this file is compiled.
#pragma once

#include "kernels.h"
#include "kernels/interpolate.h"
#include "kernels/mask_crossings.h"
#include "kernels/mask_sides.h"

namespace segrt {
namespace {

// Bit i: whether the value between `upper` and `lower` is above the threshold, with the weights of row i, for i <
// count <= kRowsAtOnce.
inline std::uint32_t rows_above(float upper, const float* upper_weight, float lower, const float* lower_weight,
                                float threshold, Index count) {
#if defined(__AVX512F__)
    const auto rows = static_cast<__mmask16>((1U << count) - 1);
    const __m512 below = _mm512_mul_ps(_mm512_set1_ps(lower), _mm512_maskz_loadu_ps(rows, lower_weight));
    const __m512 value = _mm512_fmadd_ps(_mm512_set1_ps(upper), _mm512_maskz_loadu_ps(rows, upper_weight), below);
    return _mm512_mask_cmp_ps_mask(rows, value, _mm512_set1_ps(threshold), _CMP_GT_OQ);
#elif defined(__AVX2__) && defined(__FMA__)
    std::uint32_t bits = 0;
    for (int i = 0; i < static_cast<int>(count); i += 8) {
        const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        const __m256i rows = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count) - i), lane);
        const __m256 below = _mm256_mul_ps(_mm256_set1_ps(lower), _mm256_maskload_ps(lower_weight + i, rows));
        const __m256 value = _mm256_fmadd_ps(_mm256_set1_ps(upper), _mm256_maskload_ps(upper_weight + i, rows), below);
        const __m256 above = _mm256_cmp_ps(value, _mm256_set1_ps(threshold), _CMP_GT_OQ);
        const __m256 counted = _mm256_and_ps(above, _mm256_castsi256_ps(rows));
        bits |= static_cast<std::uint32_t>(_mm256_movemask_ps(counted)) << i;
    }
    return bits;
#else
    std::uint32_t bits = 0;
    for (Index i = 0; i < count; ++i) {
        const bool above = lerp(upper, upper_weight[i], lower, lower_weight[i]) > threshold;
        bits |= (above ? 1U : 0U) << i;
    }
    return bits;
#endif
}

// Collects the positions of changes. Where cells are not plain, two may begin at the same position: a change there and
// back is none.
template <bool kPlain>
struct Changes {
    std::uint32_t* positions;
    Index count = 0;

    // Without a branch, for whether there is a change is often a toss-up.
    void add(std::uint32_t position, bool is_change) {
        if constexpr (!kPlain) {
            if (is_change && count > 0 && positions[count - 1] == position) {
                --count;
                return;
            }
        }
        positions[count] = position;
        count += is_change ? 1 : 0;
    }

    // Those among `rows` (at most kRowsAtOnce + 1) pixels from `position` on, of which bit i says whether pixel i
    // belongs to the mask; `inside` is what comes before.
    void add_rows(std::uint32_t position, std::uint32_t above, Index rows, bool inside) {
        constexpr std::uint32_t kEnd = 1U << (kRowsAtOnce + 1);
        std::uint32_t changed = (above ^ (above << 1U | (inside ? 1U : 0U))) & ((1U << rows) - 1);
        add(position + static_cast<std::uint32_t>(__builtin_ctz(changed | kEnd)), changed != 0);
        changed &= changed - 1;
        while (__builtin_expect(changed != 0, 0)) {
            add(position + static_cast<std::uint32_t>(__builtin_ctz(changed)), true);
            changed &= changed - 1;
        }
    }
};

// Visits the cells that are not decided, row by row. What follows one of them is decided by the side of its lower row,
// up to the next: decided cells that are neighbours share a row, and with it the side.
template <bool kPlain>
inline Index changes_of_cells(const GridMask& mask, const RowCells& cells, const ColumnMemory& memory, bool inside,
                              std::uint32_t start, std::uint32_t* positions) {
    Changes<kPlain> changes{positions};
    const std::int32_t* const starts = cells.starts;
    const float* const values = memory.values;
    const float *const upper_weight = mask.rows.low_weight, *const lower_weight = mask.rows.high_weight;
    const float threshold = mask.threshold;
    const auto first_word = cells.first / 64, first_bit = cells.first % 64;
    if ((memory.decided[first_word] >> first_bit & 1U) != 0) {
        const bool above = (memory.sides.above[first_word] >> first_bit & 1U) != 0;
        changes.add(start, above != inside);
        inside = above;
    }
    for (Index word = first_word; word <= cells.last / 64; ++word) {
        const std::uint64_t next_decided = memory.decided[word] >> 1U | memory.decided[word + 1] << 63U;
        const std::uint64_t next_above = row_below(memory.sides.above, word);
        std::uint64_t open = ~memory.decided[word] & cells_in_word(cells, word);
        for (; open != 0; open &= open - 1) {
            const auto bit = static_cast<unsigned>(__builtin_ctzll(open));
            const Index r = 64 * word + bit, end = starts[r + 1];
            // The first row of the next cell follows at once where that cell is decided.
            const Index known = static_cast<Index>(next_decided >> bit & 1U);
            const auto side = static_cast<std::uint32_t>(next_above >> bit & 1U);
            Index y = starts[r];
            if constexpr (!kPlain) {
                for (; end - y > kRowsAtOnce; y += kRowsAtOnce) {
                    const std::uint32_t above = rows_above(values[r], upper_weight + y, values[r + 1], lower_weight + y,
                                                           threshold, kRowsAtOnce);
                    changes.add_rows(start + static_cast<std::uint32_t>(y), above, kRowsAtOnce, inside);
                    inside = above >> (kRowsAtOnce - 1) != 0;
                }
            }
            const Index rows = end - y;
            const std::uint32_t above =
                rows_above(values[r], upper_weight + y, values[r + 1], lower_weight + y, threshold, rows) | side
                                                                                                                << rows;
            changes.add_rows(start + static_cast<std::uint32_t>(y), above, rows + known, inside);
            if (kPlain || rows + known > 0) {
                inside = (above >> (rows + known - 1) & 1U) != 0;
            }
        }
    }
    return changes.count;
}

inline Index column_changes(const GridMask& mask, Index x, const RowCells& cells, Sides shared, bool inside,
                            const ColumnMemory& memory, std::uint32_t start, std::uint32_t* positions) {
    if (cells.crosses_once) {
        const Index count = changes_by_crossings(mask, x, cells, shared, inside, memory, start, positions);
        if (count >= 0) {
            return count;
        }
    }
    decide_cells(mask, x, cells, shared, memory);
    return cells.plain ? changes_of_cells<true>(mask, cells, memory, inside, start, positions)
                       : changes_of_cells<false>(mask, cells, memory, inside, start, positions);
}

inline void enlarge_row(const float* row, const Axis& columns, float* out, Index count) {
    interpolate_row(row, columns.low, columns.high, columns.low_weight, columns.high_weight, out, count);
}

inline void cut_row(const float* upper, float upper_weight, const float* lower, float lower_weight, float threshold,
                    std::uint8_t* out, Index count) {
    for (Index x = 0; x < count; ++x) {
        out[x] = lerp(upper[x], upper_weight, lower[x], lower_weight) > threshold ? 1 : 0;
    }
}

}  // namespace
}  // namespace segrt
