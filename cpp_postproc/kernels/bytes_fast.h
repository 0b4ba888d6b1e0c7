// Inner loops over the bytes of pictures. See fast_table.h for how this file is compiled.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstring>

#include "kernels.h"

namespace segrt {
namespace {

// Sums of a block stay in registers while the taps go by.
template <Index Count>
inline void filter_block(const std::uint8_t* first, Index stride, const std::int32_t* weights, Index taps,
                         std::uint8_t* out) {
    std::int32_t sums[Count];
    for (Index i = 0; i < Count; ++i) {
        sums[i] = 1 << (kWeightBits - 1);
    }
    for (Index k = 0; k < taps; ++k) {
        const std::uint8_t* row = first + k * stride;
        const std::int32_t weight = weights[k];
        for (Index i = 0; i < Count; ++i) {
            sums[i] += weight * row[i];
        }
    }
    for (Index i = 0; i < Count; ++i) {
        const std::int32_t value = sums[i] >> kWeightBits;
        out[i] = static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

constexpr Index kFilterBlock = 48;

#if defined(__AVX2__)
// Pixels whose sums fit the registers, 16 to a part.
#if defined(__AVX512VL__)
constexpr Index kParts = kFilterBlock / 16;
#else
constexpr Index kParts = 1;
#endif

// Two taps at a time: their bytes, side by side as 16-bit numbers, times the upper and the lower part of their weights.
// weight = upper * 2^15 + lower, so that sum = uppers * 2^15 + lowers, exactly: integers wrap alike on either way.
inline void filter_pairs(const std::uint8_t* first, Index stride, const std::int32_t* weights, Index taps,
                         std::uint8_t* out) {
    constexpr int kLowerBits = 15;
    constexpr std::uint32_t kLower = (1U << kLowerBits) - 1;
    __m256i upper[kParts][2] = {}, lower[kParts][2] = {};
    for (Index k = 0; k < taps; k += 2) {
        const bool alone = k + 1 == taps;
        const std::uint8_t* row = first + k * stride;
        const std::uint8_t* next = alone ? row : row + stride;
        const std::int32_t a = weights[k], b = alone ? 0 : weights[k + 1];
        const auto side_by_side = [](std::int32_t low, std::int32_t high) {
            const auto bits = static_cast<std::uint32_t>(high) << 16U | (static_cast<std::uint32_t>(low) & 0xFFFFU);
            return _mm256_set1_epi32(static_cast<std::int32_t>(bits));
        };
        const __m256i uppers = side_by_side(a >> kLowerBits, b >> kLowerBits);
        const __m256i lowers = side_by_side(static_cast<std::int32_t>(static_cast<std::uint32_t>(a) & kLower),
                                            static_cast<std::int32_t>(static_cast<std::uint32_t>(b) & kLower));
        for (Index part = 0; part < kParts; ++part) {
            const auto load = [part](const std::uint8_t* bytes) {
                return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + 16 * part)));
            };
            const __m256i p = load(row), q = load(next);
            const __m256i pairs[2] = {_mm256_unpacklo_epi16(p, q), _mm256_unpackhi_epi16(p, q)};
            for (int half = 0; half < 2; ++half) {
                upper[part][half] = _mm256_add_epi32(upper[part][half], _mm256_madd_epi16(pairs[half], uppers));
                lower[part][half] = _mm256_add_epi32(lower[part][half], _mm256_madd_epi16(pairs[half], lowers));
            }
        }
    }
    for (Index part = 0; part < kParts; ++part) {
        __m256i values[2];
        for (int half = 0; half < 2; ++half) {
            const __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(upper[part][half], kLowerBits), lower[part][half]);
            values[half] =
                _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(1 << (kWeightBits - 1))), kWeightBits);
        }
        // Packing takes halves together as unpacking took them apart, and limits to 0 to 255.
        const __m256i words = _mm256_packs_epi32(values[0], values[1]);
        const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16 * part), bytes);
    }
}
#endif

inline void filter_bytes(const std::uint8_t* first, Index stride, const std::int32_t* weights, Index taps,
                         std::uint8_t* out, Index count) {
    Index i = 0;
    for (; i + kFilterBlock <= count; i += kFilterBlock) {
#if defined(__AVX2__)
        for (Index part = 0; part < kFilterBlock; part += 16 * kParts) {
            filter_pairs(first + i + part, stride, weights, taps, out + i + part);
        }
#else
        filter_block<kFilterBlock>(first + i, stride, weights, taps, out + i);
#endif
    }
    for (; i < count; ++i) {
        filter_block<1>(first + i, stride, weights, taps, out + i);
    }
}

// Stores that bypass the caches do not read what they overwrite: less than a third of the time of memset on memory
// that lies in no cache.
inline void clear_pictures(std::uint8_t* bytes, Index count) {
    Index i = 0;
#if defined(__SSE2__)
    constexpr Index kLine = 64;
    const auto misaligned = static_cast<Index>(reinterpret_cast<std::uintptr_t>(bytes) % kLine);
    for (; misaligned + i < kLine && misaligned != 0 && i < count; ++i) {
        bytes[i] = 0;
    }
    for (; i + kLine <= count; i += kLine) {
#if defined(__AVX512F__)
        _mm512_stream_si512(reinterpret_cast<__m512i*>(bytes + i), _mm512_setzero_si512());
#else
        for (Index part = 0; part < kLine; part += 16) {
            _mm_stream_si128(reinterpret_cast<__m128i*>(bytes + i + part), _mm_setzero_si128());
        }
#endif
    }
    _mm_sfence();
#endif
    std::memset(bytes + i, 0, static_cast<std::size_t>(count - i));
}

}  // namespace
}  // namespace segrt
