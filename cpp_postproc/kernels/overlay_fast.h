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
#if defined(__AVX2__)
static_assert(kBlurBlock * sizeof(std::uint16_t) == sizeof(__m256i));

inline void blur_columns(const std::uint16_t* first, Index stride, const std::uint16_t* weights, Index taps,
                         const std::uint16_t* middle, std::uint8_t* levels, Index count) {
    const auto words = [](const std::uint16_t* from) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    };
    const auto weight = [](const std::uint16_t* from) { return _mm256_set1_epi16(static_cast<std::int16_t>(*from)); };
    const __m256i zero = _mm256_setzero_si256();
    for (Index x = 0; x < count; x += kBlurBlock) {
        const std::uint16_t* row = first + x;
        __m256i sum = _mm256_mullo_epi16(words(row), weight(weights));
        for (Index k = 1; k + 1 < taps; k += 2) {  // `taps` are odd
            const __m256i one = _mm256_mullo_epi16(words(row + k * stride), weight(weights + k));
            const __m256i next = _mm256_mullo_epi16(words(row + (k + 1) * stride), weight(weights + k + 1));
            sum = _mm256_add_epi16(sum, _mm256_add_epi16(one, next));
        }
        // sum / 256, rounded up, less one; then half of 256 is 127.
        const __m256i whole = _mm256_cmpeq_epi16(_mm256_slli_epi16(sum, 8), zero);
        const __m256i less = _mm256_add_epi16(_mm256_srli_epi16(sum, 8), whole);
        const __m256i level = _mm256_add_epi16(_mm256_sub_epi16(sum, less), _mm256_set1_epi16(127));
        const __m256i full =
            _mm256_andnot_si256(_mm256_cmpeq_epi16(words(middle + x), zero), _mm256_cmpeq_epi16(sum, zero));
        const __m256i bytes = _mm256_srli_epi16(_mm256_or_si256(level, full), 8);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(levels + x),
                         _mm_packus_epi16(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)));
    }
}
#else
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
#endif

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

// What 16 pixels have in a table, whose entries have `size` bytes, is copied side by side, and then all bytes are
// alike.
template <Index size>
inline void gather(const std::uint8_t* levels, const std::uint8_t* table, std::uint8_t* entries) {
    for (Index i = 0; i < kPixels; ++i) {
        std::memcpy(entries + 3 * i, table + size * levels[i], 4);
    }
}

// Calls change(pixels, x) for each kPixels pixels from x on.
template <class Change>
inline void for_blocks(std::uint8_t* canvas, Index count, Change&& change) {
    Index x = 0;
    for (; x + kPixels <= count; x += kPixels) {
        change(canvas + 3 * x, x);
    }
    if (x < count) {
        std::uint8_t copy[kPixelBytes] = {};
        const auto left = static_cast<std::size_t>(3 * (count - x));
        std::memcpy(copy, canvas + 3 * x, left);
        change(copy, x);
        std::memcpy(canvas + 3 * x, copy, left);
    }
}

// Three channels, over and over for kPixels pixels.
inline void repeat(const std::uint8_t* channels, std::uint8_t* bytes) {
    for (Index i = 0; i < kPixelBytes; i += 3) {
        std::memcpy(bytes + i, channels, 3);
    }
}

#if defined(__AVX512BW__)
// canvas * keep / 255, rounded, + light, at most 255, as `laid` does it: bytes, and what they keep in words, of which
// `low` and `high` have those that unpacking puts there.
inline __m512i laid_bytes(__m512i canvas, __m512i low, __m512i high, __m512i light) {
    const __m512i zero = _mm512_setzero_si512(), half = _mm512_set1_epi16(128), more = _mm512_set1_epi16(257);
    const auto scaled = [&](__m512i below, __m512i share) {  // p + p / 256, without its last eight bits
        return _mm512_mulhi_epu16(_mm512_add_epi16(_mm512_mullo_epi16(below, share), half), more);
    };
    low = scaled(_mm512_unpacklo_epi8(canvas, zero), low);
    high = scaled(_mm512_unpackhi_epi8(canvas, zero), high);
    return _mm512_adds_epu8(_mm512_packus_epi16(low, high), light);
}

// The entries of eight pixels, those of 0, 1, 4, 5, 8, 9, 12, 13 from `levels` on, as unpacking has them.
inline __m512i entries_of(const std::uint8_t* levels, const std::uint8_t* shades) {
    const auto pair = [=](Index i) {
        const std::size_t at = 8 * std::size_t{levels[i]}, next = 8 * std::size_t{levels[i + 1]};
        const __m128i first = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(shades + at));
        const auto* second = reinterpret_cast<const double*>(shades + next);
        return _mm_castpd_si128(_mm_loadh_pd(_mm_castsi128_pd(first), second));
    };
    const __m256i low = _mm256_set_m128i(pair(4), pair(0)), high = _mm256_set_m128i(pair(12), pair(8));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

// 16 pixels. All 48 bytes are read and written as they lie: a load that touches bytes which a masked store left out
// waits for it.
inline __m512i load_pixels(const std::uint8_t* pixels) {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pixels));
    const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels + sizeof low));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), _mm256_castsi128_si256(high), 1);
}

inline void store_pixels(std::uint8_t* pixels, __m512i values) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(pixels), _mm512_castsi512_si256(values));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(pixels + sizeof(__m256i)), _mm512_extracti32x4_epi32(values, 2));
}

// Pixels of three bytes become four, as entries have, and three again: 12 bytes of each 16 are theirs.
inline void lay_pixels(std::uint8_t* pixels, const std::uint8_t* levels, const std::uint8_t* shades) {
    const __m512i spread = _mm512_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
    const __m512i joined = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 15, 15, 15);
    const __m512i widen = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1));
    const __m512i narrow =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    const __m512i keeps =
        _mm512_broadcast_i32x4(_mm_setr_epi8(4, -1, 5, -1, 6, -1, 7, -1, 12, -1, 13, -1, 14, -1, 15, -1));
    const __m512i first = entries_of(levels, shades), second = entries_of(levels + 2, shades);
    const __m512i lights =
        _mm512_castps_si512(_mm512_shuffle_ps(_mm512_castsi512_ps(first), _mm512_castsi512_ps(second), 0x88));
    __m512i values = _mm512_shuffle_epi8(_mm512_permutexvar_epi32(spread, load_pixels(pixels)), widen);
    values = laid_bytes(values, _mm512_shuffle_epi8(first, keeps), _mm512_shuffle_epi8(second, keeps), lights);
    store_pixels(pixels, _mm512_permutexvar_epi32(joined, _mm512_shuffle_epi8(values, narrow)));
}

inline void lay_row(const std::uint8_t* levels, const std::uint8_t* shades, std::uint8_t* canvas, Index count) {
    for_blocks(canvas, count, [=](std::uint8_t* pixels, Index x) { lay_pixels(pixels, levels + x, shades); });
}

inline void lay_even(const std::uint8_t* shade, std::uint8_t* canvas, Index count) {
    const __m128i channels = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(shade));
    // 0, 1, 2 over and over, in 48 bytes.
    const __m512i three = _mm512_setr_epi64(0x0100020100020100, 0x0002010002010002, 0x0201000201000201,
                                            0x0100020100020100, 0x0002010002010002, 0x0201000201000201, 0, 0);
    const __m512i zero = _mm512_setzero_si512(), entry = _mm512_broadcast_i32x4(channels);
    const __m512i lights = _mm512_shuffle_epi8(entry, three);
    const __m512i keeps = _mm512_shuffle_epi8(entry, _mm512_add_epi8(three, _mm512_set1_epi8(4)));
    const __m512i low = _mm512_unpacklo_epi8(keeps, zero), high = _mm512_unpackhi_epi8(keeps, zero);
    for_blocks(canvas, count, [=](std::uint8_t* pixels, Index) {
        store_pixels(pixels, laid_bytes(load_pixels(pixels), low, high, lights));
    });
}
#else
inline void lay_block(std::uint8_t* pixels, const std::uint8_t* lights, const std::uint8_t* keeps) {
    for (Index i = 0; i < kPixelBytes; ++i) {
        pixels[i] = laid(pixels[i], keeps[i], lights[i]);
    }
}

inline void lay_row(const std::uint8_t* levels, const std::uint8_t* shades, std::uint8_t* canvas, Index count) {
    alignas(64) std::uint8_t lights[kPixelBytes + 1], keeps[kPixelBytes + 1];
    for_blocks(canvas, count, [&](std::uint8_t* pixels, Index x) {
        gather<8>(levels + x, shades, lights);
        gather<8>(levels + x, shades + 4, keeps);
        lay_block(pixels, lights, keeps);
    });
}

inline void lay_even(const std::uint8_t* shade, std::uint8_t* canvas, Index count) {
    std::uint8_t lights[kPixelBytes], keeps[kPixelBytes];
    repeat(shade, lights);
    repeat(shade + 4, keeps);
    for_blocks(canvas, count, [&](std::uint8_t* pixels, Index) { lay_block(pixels, lights, keeps); });
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
        gather<4>(counts, weights, whites);
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
