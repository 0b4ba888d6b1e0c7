// Where the columns of an enlarged mask of logits change, sixteen places at a time. See fast_table.h for how this file
// is compiled.
//
// Between two grid values u and l of different signs the value u * (1 - w) + l * w changes its sign once, for each of
// the products and their rounded sum only falls (or only rises) from row to row. Where, follows from a division: at
// w = u / (u - l). Rounding, here and in the axis, moves that place by less than RowCells::near of a row, so that the
// first row beyond is known unless the place is so near to a row; then the rows of the cell are evaluated as they are.
#pragma once

#include "kernels.h"
#include "kernels/mask_sides.h"

namespace segrt {
namespace {

// The first target row of the column that lies beyond the change in cell r.
inline Index row_of_change(const GridMask& mask, const RowCells& cells, Index r, const float* values) {
    const bool falls = values[r] > 0;
    Index y = cells.starts[r];
    for (; y < cells.starts[r + 1]; ++y) {
        if ((lerp(values[r], mask.rows.low_weight[y], values[r + 1], mask.rows.high_weight[y]) > 0) != falls) {
            break;
        }
    }
    return y;
}

// Writes where the column with these values, whose first pixel has position `start`, changes.
class ChangeWriter {
public:
    ChangeWriter(const GridMask& mask, const RowCells& cells, const float* values, std::uint32_t start,
                 std::uint32_t* positions)
        : mask_(mask), cells_(cells), values_(values), start_(start), positions_(positions) {}

    Index count = 0;

#if defined(__AVX512F__)
    // In the cells from `first` on whose bit is set. Overwrites up to kPositionPadding more.
    void add(std::uint64_t bits, Index first) {
        if (bits == 0) {
            return;
        }
        const __m512 near = _mm512_set1_ps(cells_.near), far = _mm512_set1_ps(1 - cells_.near);
        const Index before_these = count;
        std::uint64_t doubtful = 0;
        for (unsigned part = 0; part < 64; part += 16) {  // all of them: how many there are could not be foreseen
            const auto here = static_cast<__mmask16>(bits >> part);
            const __m512 upper = _mm512_loadu_ps(values_ + first + part);
            const __m512 lower = _mm512_loadu_ps(values_ + first + part + 1);
            // To 14 bits, which `near` allows for.
            const __m512 share = _mm512_mul_ps(upper, _mm512_rcp14_ps(_mm512_sub_ps(upper, lower)));
            const __m512 place = _mm512_fmadd_ps(share, _mm512_set1_ps(cells_.rows_in_cell),
                                                 _mm512_loadu_ps(cells_.offsets + first + part));
            const __m512 row = _mm512_roundscale_ps(place, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
            const __m512i position =
                _mm512_add_epi32(_mm512_cvttps_epi32(row), _mm512_set1_epi32(static_cast<int>(start_)));
            _mm512_storeu_si512(positions_ + count, _mm512_maskz_compress_epi32(here, position));
            count += __builtin_popcount(here);
            const __m512 before = _mm512_sub_ps(row, place);
            const __mmask16 beyond = _mm512_mask_cmp_ps_mask(here, before, near, _CMP_NGT_UQ);
            const __mmask16 above = _mm512_mask_cmp_ps_mask(here, before, far, _CMP_NLT_UQ);
            doubtful |= std::uint64_t{_kor_mask16(beyond, above)} << part;
        }
        for (; doubtful != 0; doubtful &= doubtful - 1) {
            const int cell = __builtin_ctzll(doubtful);
            const Index earlier = __builtin_popcountll(bits & ((doubtful & -doubtful) - 1));
            const Index y = row_of_change(mask_, cells_, first + cell, values_);
            positions_[before_these + earlier] = start_ + static_cast<std::uint32_t>(y);
        }
    }
    void finish() {}

private:
#else
    // In the cells from `first` on whose bit is set.
    void add(std::uint64_t bits, Index first) {
        for (; bits != 0; bits &= bits - 1) {
            const Index r = first + __builtin_ctzll(bits);
            upper_[found_] = values_[r];
            lower_[found_] = values_[r + 1];
            offsets_[found_] = cells_.offsets[r];
            rows_[found_++] = static_cast<std::int32_t>(r);
        }
        if (found_ > kAtOnce - 64) {
            finish();
        }
    }
    void finish() {
        float places[kAtOnce];
        std::uint32_t doubtful = 0;
        for (Index i = 0; i < found_; ++i) {
            const float place = fused(upper_[i] / (upper_[i] - lower_[i]), cells_.rows_in_cell, offsets_[i]);
            places[i] = place;
            const float row = __builtin_ceilf(place == place ? place : 0.0F);
            positions_[count + i] = start_ + static_cast<std::uint32_t>(static_cast<std::int32_t>(row));
            doubtful |= is_certain(row - place) ? 0U : 1U;
        }
        for (Index i = 0; doubtful != 0 && i < found_; ++i) {
            if (!is_certain(__builtin_ceilf(places[i]) - places[i])) {
                const Index y = row_of_change(mask_, cells_, rows_[i], values_);
                positions_[count + i] = start_ + static_cast<std::uint32_t>(y);
            }
        }
        count += found_;
        found_ = 0;
    }

private:
    static constexpr Index kAtOnce = 128;

    [[nodiscard]] bool is_certain(float before) const { return before > cells_.near && before < 1 - cells_.near; }

    float upper_[kAtOnce], lower_[kAtOnce], offsets_[kAtOnce];
    std::int32_t rows_[kAtOnce];
    Index found_ = 0;
#endif

    const GridMask& mask_;
    const RowCells& cells_;
    const float* const values_;
    const std::uint32_t start_;
    std::uint32_t* const positions_;
};

// Two changes at one position are none: the second cell's first row lies beyond its change already.
inline Index without_pairs(std::uint32_t* positions, Index count) {
    std::uint32_t equal = 0;
    for (Index i = 1; i < count; ++i) {
        equal |= positions[i] == positions[i - 1] ? 1U : 0U;
    }
    if (equal == 0) {
        return count;
    }
    Index kept = 0;
    for (Index i = 0; i < count; ++i) {
        if (kept > 0 && positions[kept - 1] == positions[i]) {
            --kept;
        } else {
            positions[kept++] = positions[i];
        }
    }
    return kept;
}

// The sides of 64 finite values between two grid columns, about 0. Writes the values.
inline void blend_sides(const float* left, float left_weight, const float* right, float right_weight, float* values,
                        std::uint64_t* above, std::uint64_t* below) {
    const Decision decision = decision_about(0);
#if defined(__AVX512F__)
    std::uint64_t high = 0, low = 0;
    for (unsigned i = 0; i < 64; i += 16) {
        const __m512 rest = _mm512_mul_ps(_mm512_loadu_ps(right + i), _mm512_set1_ps(right_weight));
        const __m512 value = _mm512_fmadd_ps(_mm512_loadu_ps(left + i), _mm512_set1_ps(left_weight), rest);
        _mm512_storeu_ps(values + i, value);
        high |= std::uint64_t{_mm512_cmp_ps_mask(value, _mm512_set1_ps(decision.high), _CMP_GT_OQ)} << i;
        low |= std::uint64_t{_mm512_cmp_ps_mask(value, _mm512_set1_ps(decision.low), _CMP_LE_OQ)} << i;
    }
    *above = high;
    *below = low;
#else
    for (Index i = 0; i < 64; ++i) {
        values[i] = lerp(left[i], left_weight, right[i], right_weight);
    }
    sides_of_word(values, decision, above, below);
#endif
}

// As column_changes, of a mask for which RowCells::crosses_once holds; -1 where a value is too near to 0.
inline Index changes_by_crossings(const GridMask& mask, Index x, const RowCells& cells, Sides shared, bool inside,
                                  const ColumnMemory& memory, std::uint32_t start, std::uint32_t* positions) {
    const Index rows = mask.rows.source_length;
    const float* left = mask.grid + mask.columns.low[x] * rows;
    const float* right = mask.grid + mask.columns.high[x] * rows;
    const float left_weight = mask.columns.low_weight[x], right_weight = mask.columns.high_weight[x];
    // The last row and itself are a cell in which nothing changes.
    const Index last_row = cells.last + 1 < rows ? cells.last + 1 : rows - 1;
    const Index first = cells.first / 64, last = last_row / 64;
    std::uint64_t* const above = memory.sides.above;
    std::uint64_t open_before = 0, unclear = 0;
    for (Index word = first; word <= last; ++word) {
        const std::uint64_t open = ~decided_cells(shared, word) & cells_in_word(cells, word);
        std::uint64_t over = shared.above[word], under = shared.below[word];
        if (open != 0 || open_before >> 63U != 0) {
            const Index begin = 64 * word;
            std::uint64_t high, low;
            if (begin + 64 <= rows) {
                blend_sides(left + begin, left_weight, right + begin, right_weight, memory.values + begin, &high, &low);
            } else {
                for (Index r = begin; r < rows; ++r) {
                    memory.values[r] = lerp(left[r], left_weight, right[r], right_weight);
                }
                sides_of_word(memory.values + begin, decision_about(0), &high, &low);
            }
            over |= high;
            under |= low;
        }
        open_before = open;
        above[word] = over;
        const RowCells looked_at{.first = cells.first, .last = last_row};
        unclear |= ~(over | under) & cells_in_word(looked_at, word);
    }
    if (unclear != 0) {
        return -1;
    }
    above[last + 1] = 0;
    ChangeWriter changes{mask, cells, memory.values, start, positions};
    const bool begins = (above[first] >> (cells.first % 64) & 1U) != 0;
    positions[0] = start;
    changes.count = begins != inside ? 1 : 0;
    const RowCells crossed{.first = cells.first, .last = last_row - 1};
    for (Index word = first; word <= last && last_row > cells.first; ++word) {
        changes.add((above[word] ^ row_below(above, word)) & cells_in_word(crossed, word), 64 * word);
    }
    changes.finish();
    const Index count = without_pairs(positions, changes.count);
    const auto end = start + static_cast<std::uint32_t>(mask.rows.length);
    return count > 0 && positions[count - 1] == end ? count - 1 : count;
}

}  // namespace
}  // namespace segrt
