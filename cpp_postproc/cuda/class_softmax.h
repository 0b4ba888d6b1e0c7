// The softmax of class_scores.cpp by a warp: the same sums in the same order.
#pragma once

#include "heads.h"
#include "softmax.h"

namespace segrt {
namespace {

// A row of class logits, of which each lane looks at every 32nd column.
template <class T>
struct ClassRow {
    const T* logits;
    std::int32_t columns;
    float largest = -2 * kLargest, sum = 0;
    std::int32_t nonfinite = 0;  // of this lane's columns

    SEGRT_SHARED ClassRow(const T* row, std::int32_t count, std::int32_t lane) : logits(row), columns(count) {
        for (std::int32_t c = lane; c < columns; c += kSumLanes) {
            const float value = widened(load(logits + c));
            nonfinite += is_finite(value) ? 0 : 1;
            largest = limited(value) > largest ? limited(value) : largest;
        }
        for (int step = kSumLanes / 2; step > 0; step /= 2) {
            const float other = __shfl_xor_sync(~0U, largest, step);
            largest = other > largest ? other : largest;
        }
        for (std::int32_t c = lane; c < columns; c += kSumLanes) {
            sum += exp_below(read(load(logits + c)), largest);
        }
        for (int step = kSumLanes / 2; step > 0; step /= 2) {
            sum += __shfl_xor_sync(~0U, sum, step);
        }
    }

    [[nodiscard]] SEGRT_SHARED float probability(std::int32_t c) const {
        return exp_below(read(load(logits + c)), largest) / sum;
    }
};

}  // namespace
}  // namespace segrt
