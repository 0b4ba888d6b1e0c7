// Elementary functions in a fixed sequence of float32 operations, so that every instruction set and every GPU give the
// same bits. All of it has internal linkage: this header is compiled once per instruction set, and with the kernels of
// cuda/ (which NVRTC compiles with --fmad=false, IEEE division and denormals).
#pragma once

#ifdef __CUDACC_RTC__
#include "cuda/integers.h"
#define SEGRT_SHARED __device__ __forceinline__
#else
#include <cmath>
#include <cstdint>
#include <cstring>
#define SEGRT_SHARED [[maybe_unused]] inline
#endif

namespace segrt {
namespace {

// Beyond this, numbers are taken for infinite: interpolation between two such never overflows.
constexpr float kLargest = 1e38F;

// a * b + c, rounded once. Without the instruction, fmaf is a slow call; this vectorises. The product is exact in
// double; the sum is rounded to odd (its last bit set where it is not exact), which makes the second rounding, to
// float, the right one.
SEGRT_SHARED float fused(float a, float b, float c) {
#if defined(__CUDACC_RTC__)
    return __fmaf_rn(a, b, c);
#elif defined(__FMA__) || defined(__aarch64__)
    return __builtin_fmaf(a, b, c);
#else
    const double product = static_cast<double>(a) * static_cast<double>(b);
    const double addend = static_cast<double>(c);
    double sum = product + addend;
    const double part = sum - product;
    const double error = (product - (sum - part)) + (addend - part);
    std::int64_t bits;
    std::memcpy(&bits, &sum, sizeof bits);
    const bool away_from_zero = (error > 0) == (sum > 0);
    const std::int64_t odd = away_from_zero ? bits + 1 : bits - 1;
    bits = error != 0 && (bits & 1) == 0 ? odd : bits;
    std::memcpy(&sum, &bits, sizeof sum);
    return static_cast<float>(sum);
#endif
}

// Horizontal or vertical step of torch's bilinear interpolation.
SEGRT_SHARED float lerp(float a, float weight_a, float b, float weight_b) {
    return fused(a, weight_a, b * weight_b);
}

// exp(x) to about one unit in the last place, for x within [-87, 88]; beyond, its value at the limit.
// Cephes' expf: x = n ln 2 + r, a polynomial for exp(r), and n added to the exponent.
SEGRT_SHARED float exp_float(float x) {
    x = x < -87.0F ? -87.0F : x;
    x = x > 88.0F ? 88.0F : x;
    constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to the nearest integer
    const float n = (x * 1.44269504088896341F + kRound) - kRound;
    float r = fused(n, -0.693359375F, x);
    r = fused(n, 2.12194440e-4F, r);
    float p = 1.9875691500e-4F;
    p = fused(p, r, 1.3981999507e-3F);
    p = fused(p, r, 8.3334519073e-3F);
    p = fused(p, r, 4.1665795894e-2F);
    p = fused(p, r, 1.6666665459e-1F);
    p = fused(p, r, 5.0000001201e-1F);
    p = fused(p, r * r, r) + 1.0F;
    const std::int32_t exponent = (static_cast<std::int32_t>(n) + 127) * (1 << 23);
#ifdef __CUDACC_RTC__
    return p * __int_as_float(exponent);
#else
    float power;
    std::memcpy(&power, &exponent, sizeof power);
    return p * power;
#endif
}

SEGRT_SHARED float sigmoid_float(float x) {
    return 1.0F / (1.0F + exp_float(-x));
}

}  // namespace
}  // namespace segrt
