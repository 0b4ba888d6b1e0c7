// CUDA's words as C++: a kernel's threads are fibers of one operating-system thread, which run one after another from
// barrier to barrier. The order is chosen from outside, so that a missing barrier shows as a result that depends on it.
// What runs here is the kernels' logic; of a GPU's speed and memory model it says nothing.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <utility>

namespace segrt::emulator {

struct Dim {
    unsigned x = 1, y = 1, z = 1;
};

inline Dim thread_index, block_index, block_size, grid_size;

// Waits until every thread of the block that has not returned waits here, too.
void block_barrier();

// Gives a value to the warp, waits for its other lanes, and returns what all of them gave, 8 bytes each.
const std::uint64_t* exchange(std::uint64_t value, std::uint32_t& lanes);

// The position in the warp.
unsigned lane();

// Runs `thread` once for each thread of each block.
void run(Dim grid, Dim block, void (*thread)(void*), void* context);

template <class... Parameters, std::size_t... I>
void launch(void (*kernel)(Parameters...), Dim grid, Dim block, void** arguments, std::index_sequence<I...>) {
    auto call = [&] { kernel(*static_cast<std::remove_cvref_t<Parameters>*>(arguments[I])...); };
    run(grid, block, [](void* context) { (*static_cast<decltype(call)*>(context))(); }, &call);
}

template <class... Parameters>
void launch(void (*kernel)(Parameters...), Dim grid, Dim block, void** arguments) {
    launch(kernel, grid, block, arguments, std::index_sequence_for<Parameters...>{});
}

}  // namespace segrt::emulator

#define __global__
#define __device__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define SEGRT_EMULATED_KERNEL(name)                                                                               \
    extern "C" void emulated_##name(const unsigned* shape, void** arguments) {                                    \
        segrt::emulator::launch(name, {shape[0], shape[1], shape[2]}, {shape[3], shape[4], shape[5]}, arguments); \
    }

#define threadIdx (segrt::emulator::thread_index)
#define blockIdx (segrt::emulator::block_index)
#define blockDim (segrt::emulator::block_size)
#define gridDim (segrt::emulator::grid_size)

inline void __syncthreads() {
    segrt::emulator::block_barrier();
}

inline void __syncwarp(std::uint32_t = ~0U) {
    std::uint32_t lanes;
    segrt::emulator::exchange(0, lanes);
}

inline void __threadfence() {}

namespace segrt::emulator {

template <class T>
std::uint64_t packed(T value) {
    static_assert(sizeof value <= 8);
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    return bits;
}

template <class T>
T unpacked(std::uint64_t bits) {
    T value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

// What lane `from` gave; the own value where there is no such lane.
template <class T>
T from_lane(T value, unsigned from) {
    std::uint32_t lanes;
    const std::uint64_t* given = exchange(packed(value), lanes);
    return from < 32 && (lanes >> from & 1U) != 0 ? unpacked<T>(given[from]) : value;
}

}  // namespace segrt::emulator

template <class T>
T __shfl_sync(std::uint32_t, T value, int from, int width = 32) {
    const int own = static_cast<int>(segrt::emulator::lane());
    return segrt::emulator::from_lane(value, static_cast<unsigned>((own & ~(width - 1)) | (from & (width - 1))));
}

template <class T>
T __shfl_xor_sync(std::uint32_t, T value, int mask) {
    return segrt::emulator::from_lane(value, segrt::emulator::lane() ^ static_cast<unsigned>(mask));
}

template <class T>
T __shfl_up_sync(std::uint32_t, T value, unsigned distance) {
    const unsigned own = segrt::emulator::lane();
    return segrt::emulator::from_lane(value, own >= distance ? own - distance : own);
}

template <class T>
T __shfl_down_sync(std::uint32_t, T value, unsigned distance) {
    return segrt::emulator::from_lane(value, segrt::emulator::lane() + distance);
}

inline std::uint32_t __ballot_sync(std::uint32_t, int predicate) {
    std::uint32_t lanes, found = 0;
    const std::uint64_t* given = segrt::emulator::exchange(predicate != 0, lanes);
    for (unsigned i = 0; i < 32; ++i) {
        found |= (lanes >> i & 1U) != 0 && given[i] != 0 ? 1U << i : 0U;
    }
    return found;
}

inline int __any_sync(std::uint32_t mask, int predicate) {
    return __ballot_sync(mask, predicate) != 0;
}

inline int __all_sync(std::uint32_t mask, int predicate) {
    return __ballot_sync(mask, predicate == 0) == 0;
}

template <class T>
std::uint32_t __match_any_sync(std::uint32_t, T value) {
    std::uint32_t lanes, found = 0;
    const std::uint64_t own = segrt::emulator::packed(value);
    const std::uint64_t* given = segrt::emulator::exchange(own, lanes);
    for (unsigned i = 0; i < 32; ++i) {
        found |= (lanes >> i & 1U) != 0 && given[i] == own ? 1U << i : 0U;
    }
    return found;
}

inline std::uint32_t __activemask() {
    return __ballot_sync(~0U, 1);
}

template <class T, class V>
T atomicAdd(T* at, V value) {
    return std::exchange(*at, static_cast<T>(*at + static_cast<T>(value)));
}

template <class T, class V>
T atomicMin(T* at, V value) {
    return std::exchange(*at, static_cast<T>(value) < *at ? static_cast<T>(value) : *at);
}

template <class T, class V>
T atomicMax(T* at, V value) {
    return std::exchange(*at, static_cast<T>(value) > *at ? static_cast<T>(value) : *at);
}

template <class T, class V>
T atomicOr(T* at, V value) {
    return std::exchange(*at, static_cast<T>(*at | static_cast<T>(value)));
}

template <class T, class V>
T atomicExch(T* at, V value) {
    return std::exchange(*at, static_cast<T>(value));
}

template <class T>
T atomicCAS(T* at, T expected, T value) {
    const T before = *at;
    *at = before == expected ? value : before;
    return before;
}

template <class T>
T __ldg(const T* at) {
    return *at;
}

inline float __fmaf_rn(float a, float b, float c) {
    return std::fma(a, b, c);
}

inline int __popc(std::uint32_t bits) {
    return std::popcount(bits);
}

inline int __popcll(std::uint64_t bits) {
    return std::popcount(bits);
}

inline int __ffs(std::uint32_t bits) {
    return bits == 0 ? 0 : std::countr_zero(bits) + 1;
}

inline int __clz(std::uint32_t bits) {
    return std::countl_zero(bits);
}

inline float __int_as_float(std::int32_t bits) {
    return std::bit_cast<float>(bits);
}

inline float __uint_as_float(std::uint32_t bits) {
    return std::bit_cast<float>(bits);
}

inline std::int32_t __float_as_int(float value) {
    return std::bit_cast<std::int32_t>(value);
}

inline std::uint32_t __float_as_uint(float value) {
    return std::bit_cast<std::uint32_t>(value);
}

template <class T>
T min(T a, T b) {
    return b < a ? b : a;
}

template <class T>
T max(T a, T b) {
    return a < b ? b : a;
}
