// The readable version of overlay_fast.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels.h"

namespace segrt {
namespace {

inline void tint_row(const std::uint8_t* image, float keep, const float* light, Index count, Index /*room*/,
                     std::uint8_t* out) {
    for (Index x = 0; x < count; ++x) {
        out[x] = static_cast<std::uint8_t>(std::lrintf(std::fma(static_cast<float>(image[x]), keep, light[x % 3])));
    }
}

inline void blur_row(const std::uint8_t* inside, const std::uint16_t* weights, Index taps, std::uint16_t* sums,
                     Index count) {
    for (Index x = 0; x < count; ++x) {
        std::uint32_t sum = 0;
        for (Index k = 0; k < taps; ++k) {
            sum += std::uint32_t{weights[k]} * inside[x + k];
        }
        sums[x] = static_cast<std::uint16_t>(sum);
    }
}

inline void blur_columns(const std::uint16_t* first, Index stride, const std::uint16_t* weights, Index taps,
                         const std::uint8_t* /*inside*/, std::uint16_t* /*sums*/, std::uint8_t* levels, Index count) {
    for (Index x = 0; x < count; ++x) {
        std::uint32_t sum = 0;
        for (Index k = 0; k < taps; ++k) {
            sum += std::uint32_t{weights[k]} * first[k * stride + x];
        }
        levels[x] = static_cast<std::uint8_t>((255 * sum + 32768) >> 16U);
    }
}

inline void lay_row(const std::uint8_t* levels, const std::uint8_t* light, const std::uint8_t* keep,
                    std::uint8_t* canvas, Index count) {
    for (Index x = 0; x < count; ++x) {
        for (Index c = 0; c < 3; ++c) {
            const int product = canvas[3 * x + c] * keep[4 * levels[x] + c];
            const auto kept = static_cast<int>(std::lrint(product / 255.0));
            canvas[3 * x + c] = static_cast<std::uint8_t>(std::min(kept + light[4 * levels[x] + c], 255));
        }
    }
}

}  // namespace
}  // namespace segrt
