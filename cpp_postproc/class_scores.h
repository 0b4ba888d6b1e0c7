// Probabilities from class logits.
#pragma once

#include <cstdint>
#include <span>

#include "scratch.h"
#include "views.h"

namespace segrt {

struct ScoredQuery {
    std::int32_t query, class_id;
    float score;
};

// The queries whose most probable class (softmax over all columns, the first wins a tie) is not the last column, "no
// object", and is more probable than `threshold`; in query order. Adds to `nonfinite` the values that are not finite.
std::span<ScoredQuery> confident_queries(ScratchFrame& frame, const FloatTable& class_logits, float threshold,
                                         std::int64_t& nonfinite);

// Softmax of one row of finite logits, in place.
void softmax(std::span<float> logits);

}  // namespace segrt
