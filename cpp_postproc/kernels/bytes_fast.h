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

inline void filter_bytes(const std::uint8_t* first, Index stride, const std::int32_t* weights, Index taps,
                         std::uint8_t* out, Index count) {
    constexpr Index kFilterBlock = 48;
    Index i = 0;
    for (; i + kFilterBlock <= count; i += kFilterBlock) {
        filter_block<kFilterBlock>(first + i, stride, weights, taps, out + i);
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
