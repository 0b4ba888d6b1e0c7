// Inner loops that paint over pictures, three bytes a pixel. See fast_table.h for how this file is compiled.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstdint>
#include <cstring>

#include "float_math.h"
#include "kernels.h"

namespace segrt {
namespace {

// A float from 0 to 255, rounded to the nearest whole number, halves to even.
[[maybe_unused]] inline std::uint8_t whole_byte(float value) {
    const float shifted = value + 12582912.0F;  // 1.5 * 2^23: the number stands in the lowest bits
    std::uint32_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    return static_cast<std::uint8_t>(bits);
}

inline void tint_row(const std::uint8_t* image, const Tint& tint, Index count, Index room, std::uint8_t* out) {
    Index x = 0;
#if defined(__AVX512F__)
    const __m512 keep = _mm512_set1_ps(tint.keep);
    for (; x < count && x + kTintBlock <= room; x += kTintBlock) {
        for (Index i = 0; i < kTintBlock; i += 16) {
            const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(image + x + i));
            const __m512 light = _mm512_loadu_ps(tint.light + i);
            const __m512 value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)), keep, light);
            _mm_storeu_si128(reinterpret_cast<__m128i*>(out + x + i), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(value)));
        }
    }
#elif defined(__FMA__) || defined(__aarch64__)
    const float keep = tint.keep;
    float light[kTintBlock];  // a copy: what is written cannot be in it
    std::memcpy(light, tint.light, sizeof light);
    for (; x < count && x + kTintBlock <= room; x += kTintBlock) {
        for (Index i = 0; i < kTintBlock; ++i) {
            out[x + i] = whole_byte(fused(static_cast<float>(image[x + i]), keep, light[i]));
        }
    }
#else
    (void)room;
#endif
    for (; x + 3 <= count; x += 3) {  // looked up: faster than fused by several instructions
        out[x] = tint.tinted[image[x]];
        out[x + 1] = tint.tinted[256 + image[x + 1]];
        out[x + 2] = tint.tinted[512 + image[x + 2]];
    }
}

// 255 * sum / 65536, rounded, in 16 bits: 255 * sum is 65536 * (sum / 256) less sum. A sum of 65536 has become 0, which
// no other pixel of the mask has.
inline void blur_columns(const std::uint16_t* first, Index stride, const std::uint16_t* weights, Index taps,
                         const std::uint16_t* middle, std::uint8_t* levels, Index count) {
    for (Index x = 0; x < count; x += kBlurBlock) {
        std::uint16_t sums[kBlurBlock] = {};
        for (Index k = 0; k < taps; ++k) {
            const std::uint16_t* row = first + k * stride + x;
            const std::uint16_t weight = weights[k];
            for (Index i = 0; i < kBlurBlock; ++i) {
                sums[i] = static_cast<std::uint16_t>(sums[i] + weight * row[i]);
            }
        }
        for (Index i = 0; i < kBlurBlock; ++i) {
            const std::uint16_t sum = sums[i];
            const auto less = static_cast<std::uint16_t>((sum >> 8) + ((sum & 255) != 0 ? 1 : 0));
            const auto level = static_cast<std::uint16_t>(static_cast<std::uint16_t>(sum - less + 128) >> 8);
            levels[x + i] = static_cast<std::uint8_t>(sum == 0 && middle[x + i] != 0 ? 255 : level);
        }
    }
}

inline std::uint8_t laid(std::uint8_t below, std::uint8_t keep, std::uint8_t light) {
    const auto product = static_cast<std::uint16_t>(below * keep + 128);
    const auto kept = static_cast<std::uint16_t>((product + (product >> 8)) >> 8);
    const auto value = static_cast<std::uint16_t>(kept + light);
    return static_cast<std::uint8_t>(value < 255 ? value : 255);
}

constexpr Index kPixels = 16, kPixelBytes = 3 * kPixels;

// Calls mix(pixels, at), which changes kPixelBytes bytes for the levels from `at` on, where any of them is not 0.
template <class Mix>
inline void for_levels(const std::uint8_t* levels, std::uint8_t* canvas, Index count, Mix&& mix) {
    for (Index x = 0; x < count; x += kPixels) {
        std::uint64_t some[2] = {};
        const Index left = count - x;
        std::uint8_t* pixels = canvas + 3 * x;
        std::memcpy(some, levels + x, static_cast<std::size_t>(left < kPixels ? left : kPixels));
        if ((some[0] | some[1]) == 0) {
            continue;
        }
        std::uint8_t here[kPixels];
        std::memcpy(here, some, sizeof here);
        if (left >= kPixels) {
            mix(pixels, here);
            continue;
        }
        std::uint8_t copy[kPixelBytes] = {};
        std::memcpy(copy, pixels, static_cast<std::size_t>(3 * left));
        mix(copy, here);
        std::memcpy(pixels, copy, static_cast<std::size_t>(3 * left));
    }
}

// The entries of 16 pixels are copied side by side, and then all bytes are alike.
inline void gather(const std::uint8_t* levels, const std::uint8_t* table, std::uint8_t* entries) {
    for (Index i = 0; i < kPixels; ++i) {
        std::memcpy(entries + 3 * i, table + 4 * levels[i], 4);
    }
}

#if defined(__AVX512BW__)
// The entries of 16 pixels side by side, four bytes each.
inline __m512i entries_of(const std::uint8_t* levels, const std::uint8_t* table) {
    const auto entry = [=](Index i) {
        std::int32_t bytes;
        std::memcpy(&bytes, table + 4 * levels[i], sizeof bytes);
        return bytes;
    };
    return _mm512_setr_epi32(entry(0), entry(1), entry(2), entry(3), entry(4), entry(5), entry(6), entry(7), entry(8),
                             entry(9), entry(10), entry(11), entry(12), entry(13), entry(14), entry(15));
}

// canvas * keep / 255, rounded, + light, at most 255, of 64 bytes, as `laid` does it.
inline __m512i laid_bytes(__m512i canvas, __m512i keep, __m512i light) {
    const __m512i zero = _mm512_setzero_si512(), half = _mm512_set1_epi16(128);
    const auto scaled = [&](__m512i below, __m512i share) {
        const __m512i product = _mm512_add_epi16(_mm512_mullo_epi16(below, share), half);
        return _mm512_srli_epi16(_mm512_add_epi16(product, _mm512_srli_epi16(product, 8)), 8);
    };
    const __m512i low = scaled(_mm512_unpacklo_epi8(canvas, zero), _mm512_unpacklo_epi8(keep, zero));
    const __m512i high = scaled(_mm512_unpackhi_epi8(canvas, zero), _mm512_unpackhi_epi8(keep, zero));
    return _mm512_adds_epu8(_mm512_packus_epi16(low, high), light);
}

// Pixels of three bytes become four, as entries have, and three again: 12 bytes of each 16 are theirs. All 48 bytes are
// read and written as they lie: a load that touches bytes which a masked store left out waits for it.
inline void lay_pixels(std::uint8_t* pixels, __m512i lights, __m512i keeps) {
    const __m512i spread = _mm512_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
    const __m512i joined = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 15, 15, 15);
    const __m512i widen = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1));
    const __m512i narrow =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    auto* low = reinterpret_cast<__m256i*>(pixels);
    auto* high = reinterpret_cast<__m128i*>(pixels + sizeof(__m256i));
    __m512i values = _mm512_inserti64x4(_mm512_castsi128_si512(_mm_setzero_si128()), _mm256_loadu_si256(low), 0);
    values = _mm512_inserti32x4(values, _mm_loadu_si128(high), 2);
    values = _mm512_shuffle_epi8(_mm512_permutexvar_epi32(spread, values), widen);
    values = _mm512_shuffle_epi8(laid_bytes(values, keeps, lights), narrow);
    values = _mm512_permutexvar_epi32(joined, values);
    _mm256_storeu_si256(low, _mm512_castsi512_si256(values));
    _mm_storeu_si128(high, _mm512_extracti32x4_epi32(values, 2));
}

inline void lay_row(const std::uint8_t* levels, const std::uint8_t* light, const std::uint8_t* keep,
                    std::uint8_t* canvas, Index count) {
    for (Index x = 0; x < count; x += kPixels) {
        const Index left = count - x < kPixels ? count - x : kPixels;
        const auto some = static_cast<__mmask16>((1U << left) - 1U);
        const __m128i here = _mm_maskz_loadu_epi8(some, levels + x);
        if (_mm_testz_si128(here, here) != 0) {
            continue;
        }
        std::uint8_t level[kPixels];
        _mm_storeu_si128(reinterpret_cast<__m128i*>(level), here);
        const bool even = _mm_cmpneq_epu8_mask(here, _mm_set1_epi8(static_cast<char>(level[0]))) == 0;
        __m512i lights, keeps;
        if (even) {  // within an object
            std::int32_t bytes;
            std::memcpy(&bytes, light + 4 * level[0], sizeof bytes);
            lights = _mm512_set1_epi32(bytes);
            std::memcpy(&bytes, keep + 4 * level[0], sizeof bytes);
            keeps = _mm512_set1_epi32(bytes);
        } else {
            lights = entries_of(level, light);
            keeps = entries_of(level, keep);
        }
        std::uint8_t* pixels = canvas + 3 * x;
        if (left == kPixels) {
            lay_pixels(pixels, lights, keeps);
            continue;
        }
        std::uint8_t copy[kPixelBytes] = {};
        std::memcpy(copy, pixels, static_cast<std::size_t>(3 * left));
        lay_pixels(copy, lights, keeps);
        std::memcpy(pixels, copy, static_cast<std::size_t>(3 * left));
    }
}
#else
inline void lay_row(const std::uint8_t* levels, const std::uint8_t* light, const std::uint8_t* keep,
                    std::uint8_t* canvas, Index count) {
    alignas(64) std::uint8_t lights[kPixelBytes + 1], keeps[kPixelBytes + 1];
    std::uint8_t gathered[kPixels] = {};  // level 0 comes to no mix: nothing is gathered for it
    for_levels(levels, canvas, count, [&](std::uint8_t* pixels, const std::uint8_t* here) {
        // Within an object all levels are alike, and those of the pixels before.
        if (std::memcmp(here, gathered, sizeof gathered) != 0) {
            std::memcpy(gathered, here, sizeof gathered);
            gather(here, light, lights);
            gather(here, keep, keeps);
        }
        for (Index i = 0; i < kPixelBytes; ++i) {
            pixels[i] = laid(pixels[i], keeps[i], lights[i]);
        }
    });
}
#endif

inline void differ_row(const std::uint8_t* first, const std::uint8_t* second, Index taps, std::uint8_t* out,
                       Index count) {
    for (Index x = 0; x < count; x += kLineBlock) {
        std::uint8_t block[kLineBlock] = {};
        for (Index k = 0; k < taps; ++k) {
            for (Index i = 0; i < kLineBlock; ++i) {
                block[i] = static_cast<std::uint8_t>(block[i] | (first[x + k + i] ^ second[x + k + i]));
            }
        }
        std::memcpy(out + x, block, sizeof block);
    }
}

inline void any_row(const std::uint8_t* rows, Index stride, Index taps, std::uint8_t* out, Index count) {
    for (Index x = 0; x < count; x += kLineBlock) {
        std::uint8_t block[kLineBlock] = {};
        for (Index k = 0; k < taps; ++k) {
            for (Index i = 0; i < kLineBlock; ++i) {
                block[i] = static_cast<std::uint8_t>(block[i] | rows[k * stride + x + i]);
            }
        }
        for (Index i = 0; i < kLineBlock; ++i) {
            out[x + i] = block[i] != 0 ? 1 : 0;
        }
    }
}

// Whether any of the 3x3 entries around kLineBlock pixels from x on is not 0.
inline bool has_lines(const std::uint8_t* above, const std::uint8_t* here, const std::uint8_t* below, Index x) {
    std::uint8_t block[kLineBlock];
    for (Index i = 0; i < kLineBlock; ++i) {
        const Index left = x + i - 1, right = x + i + 1;
        block[i] = static_cast<std::uint8_t>(above[left] | above[right] | here[left] | here[right] | below[left] |
                                             below[right]);
    }
    std::uint64_t words[kLineBlock / 8];
    std::memcpy(words, block, sizeof words);
    std::uint64_t any = 0;
    for (const std::uint64_t word : words) {
        any |= word;
    }
    return any != 0;
}

inline void line_row(const std::uint8_t* above, const std::uint8_t* here, const std::uint8_t* below,
                     const std::uint8_t* weights, std::uint8_t* levels, std::uint8_t* canvas, Index count) {
    const auto mix = [=](std::uint8_t* pixels, const std::uint8_t* counts) {
        alignas(64) std::uint8_t whites[kPixelBytes + 1];
        gather(counts, weights, whites);
        for (Index i = 0; i < kPixelBytes; ++i) {
            const auto keep = static_cast<std::uint16_t>(whites[i] == 0 ? 256 : 255 - whites[i]);
            pixels[i] = static_cast<std::uint8_t>(static_cast<std::uint16_t>(pixels[i] * keep + 255 * whites[i]) >> 8);
        }
    };
    for (Index begin = 0; begin < count; begin += kLineBlock) {
        const Index end = begin + kLineBlock < count ? begin + kLineBlock : count;
        if (end == begin + kLineBlock && !has_lines(above, here, below, begin)) {
            continue;  // as nearly everywhere
        }
        for (Index x = begin; x < end; ++x) {
            const auto sides = static_cast<std::uint8_t>(above[x - 1] + above[x + 1] + here[x - 1] + here[x + 1] +
                                                         below[x - 1] + below[x + 1]);
            levels[x] = static_cast<std::uint8_t>(sides + above[x] + here[x] + below[x]);
        }
        for_levels(levels + begin, canvas + 3 * begin, end - begin, mix);
    }
}

}  // namespace
}  // namespace segrt
