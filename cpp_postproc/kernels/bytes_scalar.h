// The readable version of bytes_fast.h.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels.h"

namespace segrt {
namespace {

inline void filter_bytes(const std::uint8_t* first, Index stride, const std::int32_t* weights, Index taps,
                         std::uint8_t* out, Index count) {
    for (Index i = 0; i < count; ++i) {
        std::int64_t sum = std::int64_t{1} << (kWeightBits - 1);
        for (Index k = 0; k < taps; ++k) {
            sum += std::int64_t{weights[k]} * first[k * stride + i];
        }
        out[i] = static_cast<std::uint8_t>(std::clamp<std::int64_t>(sum >> kWeightBits, 0, 255));
    }
}

inline void clear_pictures(std::uint8_t* bytes, Index count) {
    std::fill_n(bytes, count, std::uint8_t{0});
}

}  // namespace
}  // namespace segrt
