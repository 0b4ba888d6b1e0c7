// A thread's column of target pixels, for which channels compete.
#pragma once

#include "grids.h"
#include "ranking.h"

namespace segrt {
namespace {

constexpr int kRowsEach = 8;  // of a thread's column

// Two source rows interpolated across to a thread's column.
struct AcrossRows {
    float upper, lower;
};

// `cell(y, x)` of one channel, interpolated across.
template <class F>
SEGRT_SHARED AcrossRows across(const Tap& row, const Tap& column, const F& cell) {
    return {lerp(cell(row.low, column.low), column.low_weight, cell(row.low, column.high), column.high_weight),
            lerp(cell(row.high, column.low), column.low_weight, cell(row.high, column.high), column.high_weight)};
}

// A thread's pixels: column x, rows [y, y + kRowsEach). Beyond the target they are copies of its last, and not written.
template <Ranking ranking>
struct ColumnContest {
    Tap column;
    const Tap* rows[2];            // the first pixel's, the target's last
    float lower_share[kRowsEach];  // high_weight of each row; the other weight is 1 less it
    float best[kRowsEach];
    std::int32_t winner[kRowsEach];
    std::uint32_t inside = 0, claimed = 0;  // bit r: pixel r is one; its winner claims it
    std::uint32_t new_cells = 0;            // bit r: row r lies between other source rows than the one before

    SEGRT_SHARED ColumnContest(const TargetTaps& target, std::int32_t x, std::int32_t y) {
        column = target.columns[x < target.width ? x : target.width - 1];
        rows[0] = target.rows + y;
        rows[1] = target.rows + target.height - 1;
        std::int32_t low = -1;
        SEGRT_UNROLL
        for (int r = 0; r < kRowsEach; ++r) {
            const Tap row = tap(r);
            lower_share[r] = row.high_weight;
            inside |= x < target.width && y + r < target.height ? 1U << r : 0U;
            new_cells |= row.low != low ? 1U << r : 0U;
            low = row.low;
            best[r] = -2 * kLargest;
            winner[r] = 0;
        }
    }

    // Lets a channel compete; returns in which rows it claims the pixel by itself. rows_of(r): the source rows, across,
    // between which row r lies.
    template <class F>
    SEGRT_SHARED std::uint32_t enter(std::int32_t channel, float weight, bool may_win, const F& rows_of) {
        AcrossRows source{0, 0};
        std::uint32_t claims = 0;
        SEGRT_UNROLL
        for (int r = 0; r < kRowsEach; ++r) {
            if ((new_cells >> r & 1U) != 0) {
                source = rows_of(r);
            }
            float value = lerp(source.upper, 1.0F - lower_share[r], source.lower, lower_share[r]);
            if constexpr (ranking == Ranking::weighted_logit) {
                value = sigmoid_float(value);
            }
            const float rank = ranking == Ranking::plain ? value : value * weight;
            bool claim = true;
            if constexpr (ranking != Ranking::plain) {
                claim = (ranking == Ranking::weighted ? rank : value) >= 0.5F;
                claims |= claim ? 1U << r : 0U;
            }
            if (may_win && rank > best[r]) {
                best[r] = rank;
                winner[r] = channel;
                claimed = claim ? claimed | 1U << r : claimed & ~(1U << r);
            }
        }
        return claims & inside;
    }

    [[nodiscard]] SEGRT_SHARED Tap tap(int r) const { return rows[0] + r < rows[1] ? rows[0][r] : *rows[1]; }
};

}  // namespace
}  // namespace segrt
