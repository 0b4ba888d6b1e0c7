// The readable version of bits_fast.h.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "views.h"

namespace segrt {
namespace {

inline std::int64_t pack_row(const std::uint8_t* row, Index count, std::uint64_t* bits) {
    std::fill_n(bits, (count + 63) / 64, std::uint64_t{0});
    std::int64_t set = 0;
    for (Index x = 0; x < count; ++x) {
        if (row[x] != 0) {
            bits[x / 64] |= std::uint64_t{1} << (x % 64);
            ++set;
        }
    }
    return set;
}

inline std::int64_t count_common(const std::uint64_t* a, const std::uint64_t* b, Index words) {
    std::int64_t common = 0;
    for (Index i = 0; i < words; ++i) {
        common += std::popcount(a[i] & b[i]);
    }
    return common;
}

inline void paint_bits(const std::uint64_t* bits, Index words, std::int32_t id, std::int32_t* ids) {
    for (Index x = 0; x < words * 64; ++x) {
        if ((bits[x / 64] >> (x % 64) & 1U) != 0) {
            ids[x] = id;
        }
    }
}

}  // namespace
}  // namespace segrt
