// The readable version of overlay_fast.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels.h"

namespace segrt {
namespace {

inline void tint_row(const std::uint8_t* image, const Tint& tint, Index count, Index /*room*/, std::uint8_t* out) {
    for (Index x = 0; x < count; ++x) {
        const float value = std::fma(static_cast<float>(image[x]), tint.keep, tint.light[x % 3]);
        out[x] = static_cast<std::uint8_t>(std::lrintf(value));
    }
}

inline void blur_columns(const std::uint16_t* first, Index stride, const std::uint16_t* weights, Index taps,
                         const std::uint16_t* /*middle*/, std::uint8_t* levels, Index count) {
    for (Index x = 0; x < count; ++x) {
        std::uint32_t sum = 0;
        for (Index k = 0; k < taps; ++k) {
            sum += std::uint32_t{weights[k]} * first[k * stride + x];
        }
        levels[x] = static_cast<std::uint8_t>((255 * sum + 32768) >> 16U);
    }
}

inline void lay_even(const std::uint8_t* shade, std::uint8_t* canvas, Index count) {
    for (Index i = 0; i < 3 * count; ++i) {
        const int product = canvas[i] * shade[4 + i % 3];
        const auto kept = static_cast<int>(std::lrint(product / 255.0));
        canvas[i] = static_cast<std::uint8_t>(std::min(kept + shade[i % 3], 255));
    }
}

inline void lay_row(const std::uint8_t* levels, const std::uint8_t* shades, std::uint8_t* canvas, Index count) {
    for (Index x = 0; x < count; ++x) {
        lay_even(shades + 8 * levels[x], canvas + 3 * x, 1);
    }
}

inline void differ_row(const std::uint8_t* first, const std::uint8_t* second, Index taps, std::uint8_t* out,
                       Index count) {
    for (Index x = 0; x < count; ++x) {
        out[x] = 0;
        for (Index k = 0; k < taps; ++k) {
            out[x] = static_cast<std::uint8_t>(out[x] | (first[x + k] ^ second[x + k]));
        }
    }
}

inline void any_row(const std::uint8_t* rows, Index stride, Index taps, std::uint8_t* out, Index count) {
    for (Index x = 0; x < count; ++x) {
        out[x] = 0;
        for (Index k = 0; k < taps; ++k) {
            out[x] = rows[k * stride + x] != 0 ? 1 : out[x];
        }
    }
}

inline void line_row(const std::uint8_t* above, const std::uint8_t* here, const std::uint8_t* below,
                     const std::uint8_t* weights, std::uint8_t* levels, std::uint8_t* canvas, Index count) {
    for (Index x = 0; x < count; ++x) {
        levels[x] = 0;
        for (const std::uint8_t* row : {above, here, below}) {
            for (Index at = x - 1; at <= x + 1; ++at) {
                levels[x] = static_cast<std::uint8_t>(levels[x] + row[at]);
            }
        }
        const unsigned weight = weights[4 * levels[x]];
        for (Index i = 3 * x; weight != 0 && i < 3 * x + 3; ++i) {
            canvas[i] = static_cast<std::uint8_t>((canvas[i] * (255 - weight) + 255 * weight) >> 8U);
        }
    }
}

}  // namespace
}  // namespace segrt
