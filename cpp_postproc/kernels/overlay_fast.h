// Inner loops that paint over pictures, three bytes a pixel. See fast_table.h for how this file is compiled.
#pragma once

#include <cstdint>
#include <cstring>

#include "float_math.h"
#include "kernels.h"

namespace segrt {
namespace {

// A float from 0 to 255, rounded to the nearest whole number, halves to even.
inline std::uint8_t whole_byte(float value) {
    const float shifted = value + 12582912.0F;  // 1.5 * 2^23: the number stands in the lowest bits
    std::uint32_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    return static_cast<std::uint8_t>(bits);
}

inline void tint_row(const std::uint8_t* image, float keep, const float* light, Index count, Index room,
                     std::uint8_t* out) {
    float pattern[kTintBlock];
    for (Index i = 0; i < kTintBlock; ++i) {
        pattern[i] = light[i % 3];
    }
    Index x = 0;
    for (; x < count && x + kTintBlock <= room; x += kTintBlock) {
        for (Index i = 0; i < kTintBlock; ++i) {
            out[x + i] = whole_byte(fused(static_cast<float>(image[x + i]), keep, pattern[i]));
        }
    }
    for (; x < count; ++x) {
        out[x] = whole_byte(fused(static_cast<float>(image[x]), keep, light[x % 3]));
    }
}

template <class T>
inline void weigh(const T* first, Index stride, const std::uint16_t* weights, Index taps, std::uint16_t* sums,
                  Index count) {
    constexpr Index kBlurBlock = 64;
    Index x = 0;
    for (; x + kBlurBlock <= count; x += kBlurBlock) {
        std::uint16_t block[kBlurBlock] = {};
        for (Index k = 0; k < taps; ++k) {
            const T* row = first + k * stride + x;
            const std::uint16_t weight = weights[k];
            for (Index i = 0; i < kBlurBlock; ++i) {
                block[i] = static_cast<std::uint16_t>(block[i] + weight * row[i]);
            }
        }
        std::memcpy(sums + x, block, sizeof block);
    }
    for (; x < count; ++x) {
        std::uint16_t sum = 0;
        for (Index k = 0; k < taps; ++k) {
            sum = static_cast<std::uint16_t>(sum + weights[k] * first[k * stride + x]);
        }
        sums[x] = sum;
    }
}

inline void blur_row(const std::uint8_t* inside, const std::uint16_t* weights, Index taps, std::uint16_t* sums,
                     Index count) {
    weigh(inside, 1, weights, taps, sums, count);
}

// 255 * sum / 65536, rounded, in 16 bits: 255 * sum is 65536 * (sum / 256) less sum. A sum of 65536 has become 0, which
// no other pixel of the mask has.
inline void blur_columns(const std::uint16_t* first, Index stride, const std::uint16_t* weights, Index taps,
                         const std::uint8_t* inside, std::uint16_t* sums, std::uint8_t* levels, Index count) {
    weigh(first, stride, weights, taps, sums, count);
    for (Index x = 0; x < count; ++x) {
        const std::uint16_t sum = sums[x];
        const auto less = static_cast<std::uint16_t>((sum >> 8) + ((sum & 255) != 0 ? 1 : 0));
        const auto level = static_cast<std::uint16_t>(static_cast<std::uint16_t>(sum - less + 128) >> 8);
        levels[x] = static_cast<std::uint8_t>(sum == 0 && inside[x] != 0 ? 255 : level);
    }
}

inline std::uint8_t laid(std::uint8_t below, std::uint8_t keep, std::uint8_t light) {
    const auto product = static_cast<std::uint16_t>(below * keep + 128);
    const auto kept = static_cast<std::uint16_t>((product + (product >> 8)) >> 8);
    const auto value = static_cast<std::uint16_t>(kept + light);
    return static_cast<std::uint8_t>(value < 255 ? value : 255);
}

// 16 pixels at a time: their entries are copied side by side, and then all bytes are alike.
inline void lay_row(const std::uint8_t* levels, const std::uint8_t* light, const std::uint8_t* keep,
                    std::uint8_t* canvas, Index count) {
    constexpr Index kPixels = 16, kBytes = 3 * kPixels;
    constexpr std::uint64_t kFull = ~std::uint64_t{0};
    alignas(64) std::uint8_t lights[kBytes + 1], keeps[kBytes + 1];
    alignas(64) std::uint8_t inner_lights[kBytes + 1], inner_keeps[kBytes + 1];
    for (Index i = 0; i < kPixels; ++i) {
        std::memcpy(inner_lights + 3 * i, light + 4 * 255, 4);
        std::memcpy(inner_keeps + 3 * i, keep + 4 * 255, 4);
    }
    Index x = 0;
    for (; x + kPixels <= count; x += kPixels) {
        std::uint64_t some[2];
        std::memcpy(some, levels + x, sizeof some);
        if ((some[0] | some[1]) == 0) {
            continue;
        }
        std::uint8_t* pixels = canvas + 3 * x;
        if ((some[0] & some[1]) == kFull) {
            for (Index i = 0; i < kBytes; ++i) {
                pixels[i] = laid(pixels[i], inner_keeps[i], inner_lights[i]);
            }
            continue;
        }
        for (Index i = 0; i < kPixels; ++i) {
            std::memcpy(lights + 3 * i, light + 4 * levels[x + i], 4);
            std::memcpy(keeps + 3 * i, keep + 4 * levels[x + i], 4);
        }
        for (Index i = 0; i < kBytes; ++i) {
            pixels[i] = laid(pixels[i], keeps[i], lights[i]);
        }
    }
    for (; x < count; ++x) {
        for (Index c = 0; c < 3; ++c) {
            canvas[3 * x + c] = laid(canvas[3 * x + c], keep[4 * levels[x] + c], light[4 * levels[x] + c]);
        }
    }
}

}  // namespace
}  // namespace segrt
