// Bilinear interpolation across a row, where compilers do not find the permutations by themselves. See fast_table.h for
// how this file is compiled.
#pragma once

#include "float_math.h"
#include "kernels.h"
#include "kernels/wide.h"
#include "views.h"

namespace segrt {
namespace {

// Where kWide neighbouring target pixels lie in a source row, which is readable kRowPadding floats beyond its end.
// Neighbouring targets have neighbouring sources: when enlarging, one register holds all that a register of targets
// needs, and a permutation replaces the gather (of two registers when shrinking to no less than half).
class WideTaps {
public:
    WideTaps(const std::int32_t* low, const std::int32_t* high, const float* low_weight, const float* high_weight)
        : begin_(low[0]),
          span_(high[kWide - 1] - low[0]),
          low_weight_(wide_load(low_weight)),
          high_weight_(wide_load(high_weight)) {
#if defined(__AVX512F__)
        const __m512i base = _mm512_set1_epi32(low[0]);
        low_ = _mm512_sub_epi32(_mm512_loadu_si512(low), base);
        high_ = _mm512_sub_epi32(_mm512_loadu_si512(high), base);
#elif defined(__AVX2__) && defined(__FMA__)
        const __m256i base = _mm256_set1_epi32(low[0]);
        low_ = _mm256_sub_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(low)), base);
        high_ = _mm256_sub_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(high)), base);
#else
        low_ = low;
        high_ = high;
#endif
    }

    // The target pixels from this row.
    [[nodiscard]] WideFloat of(const float* row) const {
        WideFloat a, b;
#if defined(__AVX512F__)
        const float* source = row + begin_;
        if (span_ < 16) {
            const __m512 first = _mm512_loadu_ps(source);
            a = _mm512_permutexvar_ps(low_, first);
            b = _mm512_permutexvar_ps(high_, first);
        } else if (span_ < 32) {
            const __m512 first = _mm512_loadu_ps(source), next = _mm512_loadu_ps(source + 16);
            a = _mm512_permutex2var_ps(first, low_, next);
            b = _mm512_permutex2var_ps(first, high_, next);
        } else {
            a = _mm512_i32gather_ps(low_, source, 4);
            b = _mm512_i32gather_ps(high_, source, 4);
        }
#elif defined(__AVX2__) && defined(__FMA__)
        const float* source = row + begin_;
        if (span_ < 8) {
            const __m256 first = _mm256_loadu_ps(source);
            a = _mm256_permutevar8x32_ps(first, low_);
            b = _mm256_permutevar8x32_ps(first, high_);
        } else if (span_ < 16) {
            // The permutation takes the lowest three bits of an index; the fourth says which register is meant.
            const __m256i seven = _mm256_set1_epi32(7);
            const __m256 first = _mm256_loadu_ps(source), next = _mm256_loadu_ps(source + 8);
            const __m256 far_a = _mm256_castsi256_ps(_mm256_cmpgt_epi32(low_, seven));
            const __m256 far_b = _mm256_castsi256_ps(_mm256_cmpgt_epi32(high_, seven));
            a = _mm256_blendv_ps(_mm256_permutevar8x32_ps(first, low_), _mm256_permutevar8x32_ps(next, low_), far_a);
            b = _mm256_blendv_ps(_mm256_permutevar8x32_ps(first, high_), _mm256_permutevar8x32_ps(next, high_), far_b);
        } else {
            a = _mm256_i32gather_ps(source, low_, 4);
            b = _mm256_i32gather_ps(source, high_, 4);
        }
#else
        for (Index i = 0; i < kWide; ++i) {
            a[i] = row[low_[i]];
            b[i] = row[high_[i]];
        }
#endif
        return wide_fused(a, low_weight_, wide_product(b, high_weight_));
    }

private:
#if defined(__AVX512F__)
    __m512i low_, high_;
#elif defined(__AVX2__) && defined(__FMA__)
    __m256i low_, high_;
#else
    const std::int32_t *low_, *high_;
#endif
    Index begin_;
    std::int32_t span_;
    WideFloat low_weight_, high_weight_;
};

// `count` (a multiple of 16) target pixels from one source row.
inline void interpolate_row(const float* row, const std::int32_t* low, const std::int32_t* high,
                            const float* low_weight, const float* high_weight, float* out, Index count) {
    for (Index x = 0; x < count; x += kWide) {
        wide_store(out + x, WideTaps(low + x, high + x, low_weight + x, high_weight + x).of(row));
    }
}

}  // namespace
}  // namespace segrt
