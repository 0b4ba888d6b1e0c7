// Which channels may win in a block, and which claim its pixels, by the bounds of their values. See fast_table.h for
// how this file is compiled.
#pragma once

#include "float_math.h"
#include "kernels.h"
#include "kernels/rows_fast.h"
#include "ranking.h"

namespace segrt {
namespace {

template <Ranking ranking>
class BandBounds {
public:
    BandBounds(const LabelJob& job, const LabelMemory& memory)
        : job_(job),
          blocks_((job.columns.length + kBlock - 1) / kBlock),
          stride_(memory.bound_stride),
          band_(memory.band),
          contest_(memory.contest) {}

    // Block by block: bounds of every channel, how many channels may win, and the last of them.
    void bound(const BlockBounds& above, const BlockBounds& below) {
        for (Index b = 0; b < blocks_; ++b) {
            contest_.best_low[b] = -INFINITY;
            contest_.rivals[b] = 0;
            contest_.winner[b] = 0;
        }
        for (Index k = 0; k < job_.channels; ++k) {
            const Index at = k * stride_;
            const float* low0 = above.low + at;
            const float* low1 = below.low + at;
            const float* high0 = above.high + at;
            const float* high1 = below.high + at;
            float* low = band_.low + at;
            float* high = band_.high + at;
            const float weight = weight_of(k);
            for (Index b = 0; b < blocks_; ++b) {
                const Bounds value = interpolated_bounds(smaller(low0[b], low1[b]), larger(high0[b], high1[b]));
                const Bounds rank = rank_bounds<ranking>(value, weight);
                // Claims of weighted_logit are decided on the logits themselves.
                low[b] = ranking == Ranking::weighted_logit ? value.low : rank.low;
                high[b] = ranking == Ranking::weighted_logit ? value.high : rank.high;
                contest_.best_low[b] = larger(contest_.best_low[b], rank.low);
            }
        }
        for (Index k = 0; k < job_.channels; ++k) {
            const float* high = band_.high + k * stride_;
            const float weight = weight_of(k);
            const auto channel = static_cast<std::int32_t>(k);
            for (Index b = 0; b < blocks_; ++b) {
                const bool rival = upper_rank(high[b], weight) >= contest_.best_low[b];
                contest_.rivals[b] += rival ? 1 : 0;
                contest_.winner[b] = rival ? channel : contest_.winner[b];
            }
        }
    }

    // Whether only `winner` may win.
    [[nodiscard]] bool decided(Index b) const { return contest_.rivals[b] == 1; }
    [[nodiscard]] std::int32_t winner(Index b) const { return contest_.winner[b]; }

    [[nodiscard]] bool may_win(Index k, Index b) const {
        return upper_rank(band_.high[k * stride_ + b], weight_of(k)) >= contest_.best_low[b];
    }

    [[nodiscard]] Claim claim(Index k, Index b) const {
        return claim_of<ranking>({band_.low[k * stride_ + b], band_.high[k * stride_ + b]});
    }

private:
    [[nodiscard]] float weight_of(Index k) const { return ranking != Ranking::plain ? job_.weights[k] : 1.0F; }

    static float upper_rank(float high, float weight) {
        return ranking == Ranking::weighted_logit ? rank_bounds<ranking>({high, high}, weight).high : high;
    }

    const LabelJob& job_;
    const Index blocks_, stride_;
    const BlockBounds band_;
    const BlockContest contest_;
};

}  // namespace
}  // namespace segrt
