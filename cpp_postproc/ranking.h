// How channels are ranked at a pixel, and what the corners that a value is interpolated from say about its rank.
#pragma once

#include "float_math.h"

namespace segrt {

// How the value of a channel at a pixel follows from its interpolated grid.
enum class Ranking {
    plain,           // the interpolated value
    weighted,        // score * interpolated probability; `original` counts values >= 0.5
    weighted_logit,  // score * sigmoid(interpolated logit); `original` counts probabilities >= 0.5, and a winner
                     // whose probability is below 0.5 leaves the pixel void
};

namespace {

// Interpolation rounds: bounds are widened by this share of the larger corner.
constexpr float kBoundSlack = 2e-6F;
// Corners smaller than this round by more than their share.
constexpr float kSmallCorner = 1e-37F;
// Logits this far from 0 have a probability that is safely on their side of 0.5.
constexpr float kLogitSlack = 1e-3F;

struct Bounds {
    float low, high;
};

// Whether a channel claims the pixels of a block by itself.
enum class Claim { none, all, some };

// The bounds of values that are interpolated from corners within [low, high].
SEGRT_SHARED Bounds interpolated_bounds(float low, float high) {
    const float a = low < 0 ? -low : low, b = high < 0 ? -high : high;
    const float magnitude = (a < b ? b : a) + kSmallCorner;
    return {fused(-kBoundSlack, magnitude, low), fused(kBoundSlack, magnitude, high)};
}

// The bounds of what channels are ranked by, from those of the interpolated values.
template <Ranking ranking>
SEGRT_SHARED Bounds rank_bounds(Bounds value, float weight) {
    if constexpr (ranking == Ranking::weighted) {
        return {value.low * weight, value.high * weight};
    } else if constexpr (ranking == Ranking::weighted_logit) {
        return {sigmoid_float(value.low) * weight * (1 - kBoundSlack),
                sigmoid_float(value.high) * weight * (1 + kBoundSlack)};
    } else {
        return value;
    }
}

// What claims are decided on: ranks (weighted), or the logits themselves (weighted_logit).
template <Ranking ranking>
SEGRT_SHARED Claim claim_of(Bounds bounds) {
    const float all = ranking == Ranking::weighted_logit ? kLogitSlack : 0.5F;
    const float none = ranking == Ranking::weighted_logit ? -kLogitSlack : 0.5F;
    return bounds.low >= all ? Claim::all : bounds.high < none ? Claim::none : Claim::some;
}

}  // namespace
}  // namespace segrt
