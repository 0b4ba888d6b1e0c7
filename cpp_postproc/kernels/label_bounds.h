// Which channels may win in a block, and which claim its pixels, by the bounds of their values. See fast_table.h for
// how this file is compiled.
#pragma once

#include "float_math.h"
#include "kernels.h"
#include "kernels/rows_fast.h"
#include "kernels/wide.h"
#include "ranking.h"

namespace segrt {
namespace {

template <Ranking ranking>
class BlockBounding {
public:
    BlockBounding(const LabelJob& job, const LabelMemory& memory)
        : job_(job), memory_(memory), contest_(memory.contest) {}

    // Marks every channel for block b between two source rows.
    void mark(Index b, const BlockBounds& above, const BlockBounds& below) {
        const Index at = b * memory_.bound_stride;
        for (Index first = 0; first < job_.channels; first += kChannelsAtOnce) {
            ChannelMarks& marks = contest_.marks[first / kChannelsAtOnce];
            marks = {};
            for (Index j = 0; j < kChannelsAtOnce; j += kWide) {
                const Index k = first + j;
                WideBounds value = {wide_smaller(wide_load(above.low + at + k), wide_load(below.low + at + k)),
                                    wide_larger(wide_load(above.high + at + k), wide_load(below.high + at + k))};
                value.widen();
                const WideBounds rank = rank_of(value, k);
                wide_store(contest_.ranks.low + k, rank.low);
                wide_store(contest_.ranks.high + k, rank.high);
                mark_claims(ranking == Ranking::weighted_logit ? value : rank, static_cast<std::uint32_t>(j), marks);
            }
        }
        const WideFloat best = wide_all(highest_low());
        for (Index k = 0; k < job_.channels; k += kWide) {
            const auto bits = wide_bits(wide_reaches(wide_load(contest_.ranks.high + k), best));
            contest_.marks[k / kChannelsAtOnce].may_win |= bits << static_cast<std::uint32_t>(k % kChannelsAtOnce);
        }
        if (const Index left = job_.channels % kChannelsAtOnce; left != 0) {
            ChannelMarks& last = contest_.marks[job_.channels / kChannelsAtOnce];
            const std::uint32_t channels = (1U << static_cast<std::uint32_t>(left)) - 1;
            last = {last.may_win & channels, last.claims_some & channels, last.claims_all & channels};
        }
    }

    // Of channels [kChannelsAtOnce * group, ...).
    [[nodiscard]] const ChannelMarks& marks(Index group) const { return contest_.marks[group]; }

    [[nodiscard]] Claim claim(Index k) const {
        const ChannelMarks& marks = contest_.marks[k / kChannelsAtOnce];
        const std::uint32_t bit = 1U << static_cast<std::uint32_t>(k % kChannelsAtOnce);
        return (marks.claims_all & bit) != 0 ? Claim::all : (marks.claims_some & bit) != 0 ? Claim::some : Claim::none;
    }

    // Twice the middle of what channel k may rank.
    [[nodiscard]] float middle(Index k) const { return contest_.ranks.low[k] + contest_.ranks.high[k]; }

    // Whether channel k ranks below channel `leader` at every pixel of block b, for it does so at every corner, by more
    // than interpolation rounds: between corners both are interpolated with the same weights.
    [[nodiscard]] bool is_beaten(Index k, std::int32_t leader, Index b, const float* above, const float* below) const {
        const float slack = 2 * kBoundSlack * (magnitude(k) + magnitude(leader));
        const Corners winner{above, below, leader * memory_.row_stride, wide_all(weight_of(leader))};
        const Corners loser{above, below, k * memory_.row_stride, wide_all(weight_of(k))};
        const WideFloat margin = wide_all(slack);
        const Index end = memory_.last[b] + 1;
        std::uint32_t open = 0;
        for (Index x = memory_.first[b]; x < end; x += kWide) {
            const std::uint32_t lanes = end - x < kWide ? (1U << static_cast<std::uint32_t>(end - x)) - 1 : kAllLanes;
            const WideMask upper = wide_above(wide_difference(winner.upper(x), loser.upper(x)), margin);
            const WideMask lower = wide_above(wide_difference(winner.lower(x), loser.lower(x)), margin);
            open |= lanes & ~(wide_bits(upper) & wide_bits(lower));
        }
        return open == 0;
    }

private:
    static constexpr std::uint32_t kAllLanes = (1U << static_cast<std::uint32_t>(kWide)) - 1;

    // What channels are ranked by at the corners that a block lies between.
    struct Corners {
        const float* above;
        const float* below;
        Index at;
        WideFloat weight;

        [[nodiscard]] WideFloat upper(Index x) const { return rank(above + at + x); }
        [[nodiscard]] WideFloat lower(Index x) const { return rank(below + at + x); }
        [[nodiscard]] WideFloat rank(const float* values) const {
            return ranking == Ranking::plain ? wide_load(values) : wide_product(wide_load(values), weight);
        }
    };

    struct WideBounds {
        WideFloat low, high;

        // interpolated_bounds(); of low <= high, the larger magnitude is that of -low or high.
        void widen() {
            const WideFloat largest = wide_larger(wide_difference(wide_all(0), low), high);
            const WideFloat magnitude = wide_sum(largest, wide_all(kSmallCorner));
            low = wide_fused(wide_all(-kBoundSlack), magnitude, low);
            high = wide_fused(wide_all(kBoundSlack), magnitude, high);
        }
    };

    // rank_bounds() of channels [k, k + kWide).
    [[nodiscard]] WideBounds rank_of(const WideBounds& value, Index k) const {
        if constexpr (ranking == Ranking::plain) {
            return value;
        } else if constexpr (ranking == Ranking::weighted) {
            const WideFloat weight = wide_load(memory_.weights + k);
            return {wide_product(value.low, weight), wide_product(value.high, weight)};
        } else {
            float low[kWide], high[kWide];
            wide_store(low, value.low);
            wide_store(high, value.high);
            for (Index j = 0; j < kWide; ++j) {
                const Bounds rank = rank_bounds<ranking>({low[j], high[j]}, memory_.weights[k + j]);
                low[j] = rank.low;
                high[j] = rank.high;
            }
            return {wide_load(low), wide_load(high)};
        }
    }

    // claim_of(), for bits from `at` on.
    static void mark_claims(const WideBounds& bounds, std::uint32_t at, ChannelMarks& marks) {
        if constexpr (ranking != Ranking::plain) {
            const float all = ranking == Ranking::weighted_logit ? kLogitSlack : 0.5F;
            const float none = ranking == Ranking::weighted_logit ? -kLogitSlack : 0.5F;
            const std::uint32_t claiming = wide_bits(wide_reaches(bounds.low, wide_all(all)));
            const std::uint32_t not_claiming = wide_bits(wide_above(wide_all(none), bounds.high));
            marks.claims_all |= claiming << at;
            marks.claims_some |= (~(claiming | not_claiming) & kAllLanes) << at;
        }
    }

    // The highest lower bound of any channel.
    float highest_low() {
        for (Index k = job_.channels; k % kChannelsAtOnce != 0; ++k) {
            contest_.ranks.low[k] = -INFINITY;
        }
        WideFloat best = wide_all(-INFINITY);
        for (Index k = 0; k < job_.channels; k += kWide) {
            best = wide_larger(best, wide_load(contest_.ranks.low + k));
        }
        float lanes[kWide];
        wide_store(lanes, best);
        float highest = lanes[0];
        for (Index j = 1; j < kWide; ++j) {
            highest = larger(highest, lanes[j]);
        }
        return highest;
    }

    [[nodiscard]] float weight_of(Index k) const { return ranking != Ranking::plain ? memory_.weights[k] : 1.0F; }

    [[nodiscard]] float magnitude(Index k) const {
        return larger(larger(contest_.ranks.high[k], -contest_.ranks.low[k]), 0) + kSmallCorner;
    }

    const LabelJob& job_;
    const LabelMemory& memory_;
    const BlockContest contest_;
};

}  // namespace
}  // namespace segrt
