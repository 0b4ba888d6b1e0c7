// From float16 to float32, by the instruction where there is one. See fast_table.h for how this file is compiled.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstdint>
#include <cstring>

#include "views.h"

namespace segrt {
namespace {

inline float half_to_float(std::uint16_t half) {
#if defined(__F16C__)
    return _cvtsh_ss(half);
#elif defined(__aarch64__)
    __fp16 value;
    std::memcpy(&value, &half, sizeof value);
    return static_cast<float>(value);
#else
    // Shifted into place, a half's value is 2^-112 times what it should be; infinities and NaN keep their exponent.
    const std::uint32_t magnitude = (half & 0x7FFFU) << 13U;
    const std::uint32_t sign = (half & 0x8000U) << 16U;
    float value;
    std::memcpy(&value, &magnitude, sizeof value);
    value *= 0x1p112F;
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    bits |= sign | (magnitude >= 0x0F800000U ? 0x7F800000U : 0U);
    std::memcpy(&value, &bits, sizeof value);
    return value;
#endif
}

inline void halves_to_floats(const std::uint16_t* halves, float* floats, Index count) {
    Index i = 0;
#if defined(__AVX512F__)
    for (; i + 16 <= count; i += 16) {
        _mm512_storeu_ps(floats + i, _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves + i))));
    }
#elif defined(__F16C__)
    for (; i + 8 <= count; i += 8) {
        _mm256_storeu_ps(floats + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + i))));
    }
#endif
    for (; i < count; ++i) {
        floats[i] = half_to_float(halves[i]);
    }
}

}  // namespace
}  // namespace segrt
