// Elementary functions in a fixed sequence of float32 operations, so that every instruction set gives the same bits.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace segrt {
namespace {

// Horizontal or vertical step of torch's bilinear interpolation.
[[maybe_unused]] inline float lerp(float a, float weight_a, float b, float weight_b) {
    return std::fma(a, weight_a, b * weight_b);
}

// exp(x) to about one unit in the last place, for x within [-87, 88]; beyond, its value at the limit.
// Cephes' expf: x = n ln 2 + r, a polynomial for exp(r), and n added to the exponent.
[[maybe_unused]] inline float exp_float(float x) {
    x = x < -87.0F ? -87.0F : x;
    x = x > 88.0F ? 88.0F : x;
    constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to the nearest integer
    const float n = (x * 1.44269504088896341F + kRound) - kRound;
    float r = std::fma(n, -0.693359375F, x);
    r = std::fma(n, 2.12194440e-4F, r);
    float p = 1.9875691500e-4F;
    p = std::fma(p, r, 1.3981999507e-3F);
    p = std::fma(p, r, 8.3334519073e-3F);
    p = std::fma(p, r, 4.1665795894e-2F);
    p = std::fma(p, r, 1.6666665459e-1F);
    p = std::fma(p, r, 5.0000001201e-1F);
    p = std::fma(p, r * r, r) + 1.0F;
    const std::int32_t exponent = (static_cast<std::int32_t>(n) + 127) * (1 << 23);
    float power;
    std::memcpy(&power, &exponent, sizeof power);
    return p * power;
}

[[maybe_unused]] inline float sigmoid_float(float x) { return 1.0F / (1.0F + exp_float(-x)); }

}  // namespace
}  // namespace segrt
