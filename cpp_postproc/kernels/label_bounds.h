// Which channels may win in a block, and which claim its pixels, by the bounds of their values. See fast_table.h for
// how this file is compiled.
#pragma once

#include "float_math.h"
#include "kernels.h"
#include "kernels/rows_fast.h"

namespace segrt {
namespace {

// Interpolation rounds: bounds are widened by this share of the larger corner.
constexpr float kBoundSlack = 2e-6F;
// Logits this far from 0 have a probability that is safely on their side of 0.5.
constexpr float kLogitSlack = 1e-3F;

struct Bounds {
    float low, high;
};

// Whether a channel claims the pixels of a block by itself.
enum class Claim { none, all, some };

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
                const Bounds value = widen(smaller(low0[b], low1[b]), larger(high0[b], high1[b]));
                const Bounds rank = ranked(value, weight);
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
        const float low = band_.low[k * stride_ + b], high = band_.high[k * stride_ + b];
        const float all = ranking == Ranking::weighted_logit ? kLogitSlack : 0.5F;
        const float none = ranking == Ranking::weighted_logit ? -kLogitSlack : 0.5F;
        return low >= all ? Claim::all : high < none ? Claim::none : Claim::some;
    }

private:
    [[nodiscard]] float weight_of(Index k) const { return ranking != Ranking::plain ? job_.weights[k] : 1.0F; }

    // The bounds of the interpolated values of a channel between two source rows.
    static Bounds widen(float low, float high) {
        const float magnitude = larger(__builtin_fabsf(low), __builtin_fabsf(high));
        return {fused(-kBoundSlack, magnitude, low), fused(kBoundSlack, magnitude, high)};
    }

    // The bounds of what channels are ranked by.
    static Bounds ranked(Bounds value, float weight) {
        if constexpr (ranking == Ranking::weighted) {
            return {value.low * weight, value.high * weight};
        } else if constexpr (ranking == Ranking::weighted_logit) {
            return {sigmoid_float(value.low) * weight * (1 - kBoundSlack),
                    sigmoid_float(value.high) * weight * (1 + kBoundSlack)};
        } else {
            return value;
        }
    }

    static float upper_rank(float high, float weight) {
        return ranking == Ranking::weighted_logit ? sigmoid_float(high) * weight * (1 + kBoundSlack) : high;
    }

    const LabelJob& job_;
    const Index blocks_, stride_;
    const BlockBounds band_;
    const BlockContest contest_;
};

}  // namespace
}  // namespace segrt
