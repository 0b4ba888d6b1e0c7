// Registers of floats, the widest of each instruction set, for loops that compilers do not keep in registers by
// themselves. See fast_table.h for how this file is compiled.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <cstdint>

#include "float_math.h"
#include "views.h"

namespace segrt {
namespace {

#if defined(__AVX512F__)
using WideFloat = __m512;
using WideMask = __mmask16;
constexpr Index kWide = 16;
inline WideFloat wide_load(const float* values) {
    return _mm512_loadu_ps(values);
}
inline WideFloat wide_all(float value) {
    return _mm512_set1_ps(value);
}
inline void wide_store(float* values, WideFloat value) {
    _mm512_storeu_ps(values, value);
}
inline WideFloat wide_product(WideFloat a, WideFloat b) {
    return _mm512_mul_ps(a, b);
}
inline WideFloat wide_sum(WideFloat a, WideFloat b) {
    return _mm512_add_ps(a, b);
}
inline WideFloat wide_difference(WideFloat a, WideFloat b) {
    return _mm512_sub_ps(a, b);
}
inline WideFloat wide_fused(WideFloat a, WideFloat b, WideFloat c) {
    return _mm512_fmadd_ps(a, b, c);
}
inline WideFloat wide_smaller(WideFloat a, WideFloat b) {
    return _mm512_min_ps(a, b);
}
inline WideFloat wide_larger(WideFloat a, WideFloat b) {
    return _mm512_max_ps(a, b);
}
// a > b; false with NaN, as are the others.
inline WideMask wide_above(WideFloat a, WideFloat b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
inline WideMask wide_reaches(WideFloat a, WideFloat b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
}
inline WideFloat wide_choose(WideMask mask, WideFloat yes, WideFloat no) {
    return _mm512_mask_blend_ps(mask, no, yes);
}
// Bit i: lane i.
inline std::uint32_t wide_bits(WideMask mask) {
    return mask;
}
#elif defined(__AVX2__) && defined(__FMA__)
using WideFloat = __m256;
using WideMask = __m256;
constexpr Index kWide = 8;
inline WideFloat wide_load(const float* values) {
    return _mm256_loadu_ps(values);
}
inline WideFloat wide_all(float value) {
    return _mm256_set1_ps(value);
}
inline void wide_store(float* values, WideFloat value) {
    _mm256_storeu_ps(values, value);
}
inline WideFloat wide_product(WideFloat a, WideFloat b) {
    return _mm256_mul_ps(a, b);
}
inline WideFloat wide_sum(WideFloat a, WideFloat b) {
    return _mm256_add_ps(a, b);
}
inline WideFloat wide_difference(WideFloat a, WideFloat b) {
    return _mm256_sub_ps(a, b);
}
inline WideFloat wide_fused(WideFloat a, WideFloat b, WideFloat c) {
    return _mm256_fmadd_ps(a, b, c);
}
inline WideFloat wide_smaller(WideFloat a, WideFloat b) {
    return _mm256_min_ps(a, b);
}
inline WideFloat wide_larger(WideFloat a, WideFloat b) {
    return _mm256_max_ps(a, b);
}
inline WideMask wide_above(WideFloat a, WideFloat b) {
    return _mm256_cmp_ps(a, b, _CMP_GT_OQ);
}
inline WideMask wide_reaches(WideFloat a, WideFloat b) {
    return _mm256_cmp_ps(a, b, _CMP_GE_OQ);
}
inline WideFloat wide_choose(WideMask mask, WideFloat yes, WideFloat no) {
    return _mm256_blendv_ps(no, yes, mask);
}
inline std::uint32_t wide_bits(WideMask mask) {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(mask));
}
#else
// Four lanes, which both SSE2 and NEON have.
using WideFloat = float __attribute__((vector_size(16)));
using WideMask = std::int32_t __attribute__((vector_size(16)));
constexpr Index kWide = 4;
inline WideFloat wide_load(const float* values) {
    WideFloat value;
    std::memcpy(&value, values, sizeof value);
    return value;
}
inline WideFloat wide_all(float value) {
    return WideFloat{value, value, value, value};
}
inline void wide_store(float* values, WideFloat value) {
    std::memcpy(values, &value, sizeof value);
}
inline WideFloat wide_product(WideFloat a, WideFloat b) {
    return a * b;
}
inline WideFloat wide_sum(WideFloat a, WideFloat b) {
    return a + b;
}
inline WideFloat wide_difference(WideFloat a, WideFloat b) {
    return a - b;
}
inline WideFloat wide_fused(WideFloat a, WideFloat b, WideFloat c) {
#if defined(__aarch64__)
    return vfmaq_f32(c, a, b);
#else
    float first[kWide], second[kWide], third[kWide];
    wide_store(first, a);
    wide_store(second, b);
    wide_store(third, c);
    for (Index i = 0; i < kWide; ++i) {
        first[i] = fused(first[i], second[i], third[i]);
    }
    return wide_load(first);
#endif
}
inline WideFloat wide_smaller(WideFloat a, WideFloat b) {
    return a < b ? a : b;
}
inline WideFloat wide_larger(WideFloat a, WideFloat b) {
    return a > b ? a : b;
}
inline WideMask wide_above(WideFloat a, WideFloat b) {
    return a > b;
}
inline WideMask wide_reaches(WideFloat a, WideFloat b) {
    return a >= b;
}
inline WideFloat wide_choose(WideMask mask, WideFloat yes, WideFloat no) {
    return mask ? yes : no;
}
inline std::uint32_t wide_bits(WideMask mask) {
    std::uint32_t bits = 0;
    for (Index i = 0; i < kWide; ++i) {
        bits |= static_cast<std::uint32_t>(mask[i] & 1) << static_cast<std::uint32_t>(i);
    }
    return bits;
}
#endif

}  // namespace
}  // namespace segrt
