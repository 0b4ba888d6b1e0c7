// Inner loops of masks as bits, 64 pixels to a word. See fast_table.h for how this file is compiled.
#pragma once

#if defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstdint>
#include <cstring>

#include "views.h"

namespace segrt {
namespace {

inline std::uint64_t pack_word(const std::uint8_t* bytes) {
#if defined(__AVX512BW__)
    const __m512i v = _mm512_loadu_si512(bytes);
    return _mm512_test_epi8_mask(v, v);
#elif defined(__AVX2__)
    const __m256i zero = _mm256_setzero_si256();
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + 32));
    const auto low_zero = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, zero)));
    const auto high_zero = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, zero)));
    return ~(std::uint64_t{high_zero} << 32U | low_zero);
#elif defined(__aarch64__)
    constexpr std::uint8_t kBits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t weights = vld1q_u8(kBits);
    std::uint64_t word = 0;
    for (unsigned part = 0; part < 4; ++part) {
        const uint8x16_t v = vld1q_u8(bytes + 16 * part);
        const uint8x16_t set = vandq_u8(vtstq_u8(v, v), weights);
        word |= std::uint64_t{vaddv_u8(vget_low_u8(set))} << (16 * part);
        word |= std::uint64_t{vaddv_u8(vget_high_u8(set))} << (16 * part + 8);
    }
    return word;
#else
    std::uint64_t word = 0;
    for (unsigned part = 0; part < 8; ++part) {
        std::uint64_t eight;
        std::memcpy(&eight, bytes + 8 * part, sizeof eight);
        // The highest bit of each byte that is not 0, then all eight gathered in the highest byte.
        constexpr std::uint64_t kLow7 = 0x7F7F7F7F7F7F7F7FU;
        const std::uint64_t set = ((eight | ((eight & kLow7) + kLow7)) & ~kLow7) >> 7U;
        word |= (set * 0x0102040810204080U) >> 56U << (8 * part);
    }
    return word;
#endif
}

inline std::int64_t pack_row(const std::uint8_t* row, Index count, std::uint64_t* bits) {
    // Masks are read once and far faster than the processor foresees. To ask for bytes beyond the mask does no harm.
    constexpr Index kAhead = 4096;
    std::int64_t set = 0;
    const Index whole = count / 64;
    for (Index i = 0; i < whole; ++i) {
        __builtin_prefetch(row + 64 * i + kAhead);
        const std::uint64_t word = pack_word(row + 64 * i);
        bits[i] = word;
        set += __builtin_popcountll(word);
    }
    if (64 * whole < count) {
        std::uint64_t word = 0;
        for (Index x = 64 * whole; x < count; ++x) {
            word |= std::uint64_t{row[x] != 0} << (x - 64 * whole);
        }
        bits[whole] = word;
        set += __builtin_popcountll(word);
    }
    return set;
}

inline std::int64_t count_common(const std::uint64_t* a, const std::uint64_t* b, Index words) {
    std::int64_t common = 0;
    for (Index i = 0; i < words; ++i) {
        common += __builtin_popcountll(a[i] & b[i]);
    }
    return common;
}

inline void paint_bits(const std::uint64_t* bits, Index words, std::int32_t id, std::int32_t* ids) {
    for (Index i = 0; i < words; ++i) {
        std::uint64_t word = bits[i];
        std::int32_t* target = ids + 64 * i;
        if (word == 0) {
            continue;
        }
#if defined(__AVX512F__)
        for (; word != 0; word >>= 16U, target += 16) {
            _mm512_mask_storeu_epi32(target, static_cast<__mmask16>(word), _mm512_set1_epi32(id));
        }
#else
        if (word == ~std::uint64_t{0}) {
            for (Index x = 0; x < 64; ++x) {
                target[x] = id;
            }
            continue;
        }
#if defined(__AVX2__)
        const __m256i bit_of_lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        for (; word != 0; word >>= 8U, target += 8) {
            const __m256i eight = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(word & 0xFFU)), bit_of_lane);
            _mm256_maskstore_epi32(target, _mm256_cmpeq_epi32(eight, bit_of_lane), _mm256_set1_epi32(id));
        }
#else
        for (; word != 0; word &= word - 1) {
            target[__builtin_ctzll(word)] = id;
        }
#endif
#endif
    }
}

}  // namespace
}  // namespace segrt
