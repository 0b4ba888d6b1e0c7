// The softmax of a row of class logits, in an order of sums that a warp of a GPU computes alike.
#pragma once

#include "float_math.h"

namespace segrt {
namespace {

// Column i is added to sum i mod kSumLanes; then sum i + step is added to sum i, for steps of 16, 8, 4, 2 and 1.
constexpr int kSumLanes = 32;

// What a column adds. Logits are finite; `largest` is the row's.
SEGRT_SHARED float exp_below(float logit, float largest) {
    return exp_float(logit - largest);
}

}  // namespace
}  // namespace segrt
