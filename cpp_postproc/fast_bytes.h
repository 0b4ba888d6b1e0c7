// Inner loop of filters over bytes. See kernels_fast.h for how this file is compiled.
#pragma once

#include "kernels.h"

namespace segrt {
namespace {

// Sums of a block stay in registers while the taps go by.
template <Index Count>
inline void filter_block(const std::uint8_t* first, Index stride, const std::int32_t* weights, Index taps,
                         std::uint8_t* out) {
    std::int32_t sums[Count];
    for (Index i = 0; i < Count; ++i) {
        sums[i] = 1 << (kWeightBits - 1);
    }
    for (Index k = 0; k < taps; ++k) {
        const std::uint8_t* row = first + k * stride;
        const std::int32_t weight = weights[k];
        for (Index i = 0; i < Count; ++i) {
            sums[i] += weight * row[i];
        }
    }
    for (Index i = 0; i < Count; ++i) {
        const std::int32_t value = sums[i] >> kWeightBits;
        out[i] = static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

inline void filter_bytes(const std::uint8_t* first, Index stride, const std::int32_t* weights, Index taps,
                         std::uint8_t* out, Index count) {
    constexpr Index kFilterBlock = 48;
    Index i = 0;
    for (; i + kFilterBlock <= count; i += kFilterBlock) {
        filter_block<kFilterBlock>(first + i, stride, weights, taps, out + i);
    }
    for (; i < count; ++i) {
        filter_block<1>(first + i, stride, weights, taps, out + i);
    }
}

}  // namespace
}  // namespace segrt
