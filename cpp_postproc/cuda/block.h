// Sums over warps and over blocks of one dimension, whose length is a multiple of 32.
#pragma once

#include "device.h"

namespace segrt {
namespace {

constexpr std::uint32_t kAllLanes = ~0U;
constexpr std::int32_t kLanes = 32;

SEGRT_SHARED std::int32_t lane_of_thread() {
    return static_cast<std::int32_t>(threadIdx.x) % kLanes;
}

// The sum of the values of this lane and those before.
SEGRT_SHARED std::int32_t warp_running_sum(std::int32_t value) {
    for (std::int32_t distance = 1; distance < kLanes; distance *= 2) {
        const std::int32_t other = __shfl_up_sync(kAllLanes, value, static_cast<std::uint32_t>(distance));
        value += lane_of_thread() >= distance ? other : 0;
    }
    return value;
}

template <class T>
SEGRT_SHARED T warp_sum(T value) {
    for (std::int32_t distance = kLanes / 2; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(kAllLanes, value, distance);
    }
    return value;
}

template <class T>
SEGRT_SHARED T warp_least(T value) {
    for (std::int32_t distance = kLanes / 2; distance > 0; distance /= 2) {
        value = min(value, __shfl_xor_sync(kAllLanes, value, distance));
    }
    return value;
}

template <class T>
SEGRT_SHARED T warp_most(T value) {
    for (std::int32_t distance = kLanes / 2; distance > 0; distance /= 2) {
        value = max(value, __shfl_xor_sync(kAllLanes, value, distance));
    }
    return value;
}

// values[0] + ... + values[count - 1], none negative, in every lane, or kMany if that is less; the warp's lanes call it
// together.
constexpr std::int32_t kMany = 1 << 30;

SEGRT_SHARED std::int32_t warp_sum_of(const std::int32_t* values, std::int32_t count) {
    std::int64_t sum = 0;
    for (std::int32_t i = lane_of_thread(); i < count; i += kLanes) {
        sum += values[i];
    }
    sum = warp_sum(sum);
    return sum < kMany ? static_cast<std::int32_t>(sum) : kMany;
}

struct Place {
    std::int32_t before, all;  // the sum of the threads before this one, and of all
};

// All threads of the block call it together.
SEGRT_SHARED Place block_place(std::int32_t value) {
    __shared__ std::int32_t sums[kLanes];
    const std::int32_t warp = static_cast<std::int32_t>(threadIdx.x) / kLanes;
    const std::int32_t warps = static_cast<std::int32_t>(blockDim.x) / kLanes;
    const std::int32_t running = warp_running_sum(value);
    if (lane_of_thread() == kLanes - 1) {
        sums[warp] = running;
    }
    __syncthreads();
    const std::int32_t up_to = warp_running_sum(lane_of_thread() < warps ? sums[lane_of_thread()] : 0);
    const std::int32_t before = __shfl_sync(kAllLanes, up_to, warp > 0 ? warp - 1 : 0);
    const std::int32_t all = __shfl_sync(kAllLanes, up_to, warps - 1);
    __syncthreads();  // before the next call writes the sums
    return {(warp > 0 ? before : 0) + running - value, all};
}

}  // namespace
}  // namespace segrt
