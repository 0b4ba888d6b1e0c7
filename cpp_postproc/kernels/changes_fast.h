// Where rows of label maps change. See fast_table.h for how this file is compiled.
#pragma once

#include <cstdint>

#include "kernels/bits_fast.h"

namespace segrt {
namespace {

// Bit i: whether row[i] and row[i + 1] differ, i < 64.
template <class T>
inline std::uint64_t changes_of_64(const T* row) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
        std::uint64_t bits = 0;
        for (unsigned part = 0; part < 4; ++part) {
            const __m512i here = _mm512_loadu_si512(row + 16 * part), next = _mm512_loadu_si512(row + 16 * part + 1);
            bits |= std::uint64_t{_mm512_cmpneq_epi32_mask(here, next)} << (16 * part);
        }
        return bits;
    }
#elif defined(__AVX2__)
    if constexpr (sizeof(T) == 4) {
        std::uint64_t same = 0;
        for (unsigned part = 0; part < 8; ++part) {
            const __m256i here = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + 8 * part));
            const __m256i next = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + 8 * part + 1));
            const auto bits =
                static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(here, next))));
            same |= std::uint64_t{bits} << (8 * part);
        }
        return ~same;
    }
#endif
    alignas(64) std::uint8_t differs[64];
    for (Index i = 0; i < 64; ++i) {
        if constexpr (sizeof(T) == 1) {
            differs[i] = static_cast<std::uint8_t>(row[i] ^ row[i + 1]);
        } else {
            differs[i] = row[i] != row[i + 1] ? 1 : 0;
        }
    }
    return pack_word(differs);
}

template <class T>
inline void row_changes(const T* row, Index count, std::uint64_t* bits) {
    Index x = 0;
    for (; x + 64 < count; x += 64) {
        *bits++ = changes_of_64(row + x);
    }
    std::uint64_t last = 0;
    for (Index i = 0; x + i + 1 < count; ++i) {
        last |= std::uint64_t{row[x + i] != row[x + i + 1]} << i;
    }
    *bits = last;
}

}  // namespace
}  // namespace segrt
