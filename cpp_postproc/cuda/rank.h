// Sorting by counting: candidates as keys, of which a greater one goes first.
#pragma once

#include "device.h"

namespace segrt {
namespace {

using Key = std::uint64_t;

// Scores that are not negative, by descending score; of equal ones, the lower index first. No two keys are equal, and
// none is 0.
SEGRT_SHARED Key key_of(std::uint32_t score_bits, std::int32_t index) {
    return static_cast<Key>(score_bits) << 32U | (0xFFFFFFFFU - static_cast<std::uint32_t>(index));
}

SEGRT_SHARED std::int32_t index_of(Key key) {
    return static_cast<std::int32_t>(0xFFFFFFFFU - static_cast<std::uint32_t>(key));
}

SEGRT_SHARED float score_of(Key key) {
    return __uint_as_float(static_cast<std::uint32_t>(key >> 32U));
}

constexpr std::int32_t kRankThreads = 256;

// A thread's key and how many keys are greater; a thread beyond the last key has rank -1.
struct Ranked {
    Key key;
    std::int32_t rank;
};

// Ranks key number blockIdx.x * kRankThreads + threadIdx.x of `count`. All threads of the block call it together.
SEGRT_SHARED Ranked own_rank(const Key* keys, std::int32_t count) {
    __shared__ Key tile[kRankThreads];
    const auto first = static_cast<std::int32_t>(blockIdx.x * kRankThreads);
    if (first >= count) {
        return {0, -1};
    }
    const std::int32_t at = first + static_cast<std::int32_t>(threadIdx.x);
    const Key own = at < count ? keys[at] : 0;
    std::int32_t rank = 0;
    for (std::int32_t begin = 0; begin < count; begin += kRankThreads) {
        const std::int32_t here = min(count - begin, kRankThreads);
        __syncthreads();
        if (static_cast<std::int32_t>(threadIdx.x) < here) {
            tile[threadIdx.x] = keys[begin + static_cast<std::int32_t>(threadIdx.x)];
        }
        __syncthreads();
        for (std::int32_t i = 0; i < here; ++i) {
            rank += tile[i] > own ? 1 : 0;
        }
    }
    return {own, at < count ? rank : -1};
}

}  // namespace
}  // namespace segrt
