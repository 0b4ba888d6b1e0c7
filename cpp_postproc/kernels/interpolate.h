// Bilinear interpolation across a row, where compilers do not find the permutations by themselves. See fast_table.h for
// how this file is compiled.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "float_math.h"
#include "kernels.h"
#include "views.h"

namespace segrt {
namespace {

// `count` (a multiple of 16) target pixels from one source row, which is readable kRowPadding floats beyond its end.
// Neighbouring targets have neighbouring sources: when enlarging, one register holds all that a register of targets
// needs, and a permutation replaces the gather (of two registers when shrinking to no less than half).
inline void interpolate_row(const float* row, const std::int32_t* low, const std::int32_t* high,
                            const float* low_weight, const float* high_weight, float* out, Index count) {
#if defined(__AVX512F__)
    for (Index x = 0; x < count; x += 16) {
        const __m512i first = _mm512_loadu_si512(low + x), second = _mm512_loadu_si512(high + x);
        __m512 a, b;
        if (high[x + 15] - low[x] < 16) {
            const __m512i base = _mm512_set1_epi32(low[x]);
            const __m512 source = _mm512_loadu_ps(row + low[x]);
            a = _mm512_permutexvar_ps(_mm512_sub_epi32(first, base), source);
            b = _mm512_permutexvar_ps(_mm512_sub_epi32(second, base), source);
        } else if (high[x + 15] - low[x] < 32) {
            const __m512i base = _mm512_set1_epi32(low[x]);
            const __m512 source = _mm512_loadu_ps(row + low[x]), next = _mm512_loadu_ps(row + low[x] + 16);
            a = _mm512_permutex2var_ps(source, _mm512_sub_epi32(first, base), next);
            b = _mm512_permutex2var_ps(source, _mm512_sub_epi32(second, base), next);
        } else {
            a = _mm512_i32gather_ps(first, row, 4);
            b = _mm512_i32gather_ps(second, row, 4);
        }
        const __m512 right = _mm512_mul_ps(b, _mm512_loadu_ps(high_weight + x));
        _mm512_storeu_ps(out + x, _mm512_fmadd_ps(a, _mm512_loadu_ps(low_weight + x), right));
    }
#elif defined(__AVX2__) && defined(__FMA__)
    for (Index x = 0; x < count; x += 8) {
        const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(low + x));
        const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(high + x));
        __m256 a, b;
        if (high[x + 7] - low[x] < 8) {
            const __m256i base = _mm256_set1_epi32(low[x]);
            const __m256 source = _mm256_loadu_ps(row + low[x]);
            a = _mm256_permutevar8x32_ps(source, _mm256_sub_epi32(first, base));
            b = _mm256_permutevar8x32_ps(source, _mm256_sub_epi32(second, base));
        } else if (high[x + 7] - low[x] < 16) {
            // The permutation takes the lowest three bits of an index; the fourth says which register is meant.
            const __m256i base = _mm256_set1_epi32(low[x]), seven = _mm256_set1_epi32(7);
            const __m256i at_a = _mm256_sub_epi32(first, base), at_b = _mm256_sub_epi32(second, base);
            const __m256 source = _mm256_loadu_ps(row + low[x]), next = _mm256_loadu_ps(row + low[x] + 8);
            const __m256 far_a = _mm256_castsi256_ps(_mm256_cmpgt_epi32(at_a, seven));
            const __m256 far_b = _mm256_castsi256_ps(_mm256_cmpgt_epi32(at_b, seven));
            a = _mm256_blendv_ps(_mm256_permutevar8x32_ps(source, at_a), _mm256_permutevar8x32_ps(next, at_a), far_a);
            b = _mm256_blendv_ps(_mm256_permutevar8x32_ps(source, at_b), _mm256_permutevar8x32_ps(next, at_b), far_b);
        } else {
            a = _mm256_i32gather_ps(row, first, 4);
            b = _mm256_i32gather_ps(row, second, 4);
        }
        const __m256 right = _mm256_mul_ps(b, _mm256_loadu_ps(high_weight + x));
        _mm256_storeu_ps(out + x, _mm256_fmadd_ps(a, _mm256_loadu_ps(low_weight + x), right));
    }
#else
    for (Index x = 0; x < count; ++x) {
        out[x] = lerp(row[low[x]], low_weight[x], row[high[x]], high_weight[x]);
    }
#endif
}

}  // namespace
}  // namespace segrt
